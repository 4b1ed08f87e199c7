package httpsender

import (
	"bytes"
	"io"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/outbound-events/outbound/pkg/egress"
)

// salvage reads an answer that net/http refuses for its header. The status line says what became of the event (RFC 9112, 4), so it
// counts if it is one, and the lines that can be read are read. The note says what is wrong. It is nil if the answer is none: its
// status line is not one, it breaks off without anything wrong before, or its header is too long.
func salvage(answer []byte) (resp *http.Response, note string) {
	if len(answer) >= egress.MaxHeaderBytes {
		return nil, ""
	}
	for {
		line, rest, ok := cutLine(answer)
		status := statusOf(line)
		if !ok || status == 0 {
			return nil, ""
		}
		header, fault, body, complete := readHeader(rest)
		if status >= 100 && status < 200 && status != http.StatusSwitchingProtocols && complete && fault == "" {
			answer = body // a hint; the answer follows
			continue
		}
		if fault == "" && !complete || status < 200 {
			return nil, ""
		}
		if fault == "" {
			fault = "it can't be read"
		}
		if header.Get("Transfer-Encoding") != "" {
			body = nil
		}
		return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(bytes.NewReader(body))},
			"the response header is malformed: " + fault
	}
}

// cutLine cuts the first line off. ok is false if it has no end.
func cutLine(text []byte) (line string, rest []byte, ok bool) {
	before, rest, ok := bytes.Cut(text, []byte("\n"))
	return strings.TrimSuffix(string(before), "\r"), rest, ok
}

// statusOf is the status of a status line; 0 if it is none.
func statusOf(line string) int {
	rest, ok := strings.CutPrefix(line, "HTTP/1.")
	if !ok || len(rest) < len("1 200") || rest[0] != '0' && rest[0] != '1' || rest[1] != ' ' || len(rest) > 5 && rest[5] != ' ' {
		return 0
	}
	status, err := strconv.ParseUint(rest[2:5], 10, 16)
	if err != nil || status < 100 {
		return 0
	}
	return int(status)
}

// readHeader reads the lines of a header up to the empty one, and says what is wrong with the first that is not as it should be.
func readHeader(text []byte) (header http.Header, fault string, rest []byte, complete bool) {
	header, rest = http.Header{}, text
	for {
		line, after, ok := cutLine(rest)
		if !ok {
			return header, fault, nil, false
		}
		rest = after
		if line == "" {
			return header, fault, rest, true
		}
		name, value, found := strings.Cut(line, ":")
		value = textproto.TrimString(value)
		var wrong string
		switch {
		case strings.HasPrefix(line, " "), strings.HasPrefix(line, "\t"):
			wrong = "a line begins with a space"
		case !found:
			wrong = "a line without a colon"
		case !httpguts.ValidHeaderFieldName(name):
			wrong = "a header name that is not valid"
		case !httpguts.ValidHeaderFieldValue(value):
			wrong = "a value with control characters"
		default:
			wrong = wrongFraming(header, textproto.CanonicalMIMEHeaderKey(name), value)
			header.Add(name, value)
		}
		if fault == "" {
			fault = wrong
		}
	}
}

// wrongFraming says what is wrong with a header that says how long the body is, after the headers before.
func wrongFraming(before http.Header, name, value string) string {
	switch name {
	case "Content-Length":
		if old := before.Values(name); len(old) > 0 && old[0] != value {
			return "two values of Content-Length"
		}
		if _, err := strconv.ParseUint(value, 10, 63); err != nil {
			return "Content-Length is not a number"
		}
	case "Transfer-Encoding":
		if !strings.EqualFold(value, "chunked") || len(before.Values(name)) > 0 {
			return "a Transfer-Encoding other than chunked"
		}
	}
	return ""
}
