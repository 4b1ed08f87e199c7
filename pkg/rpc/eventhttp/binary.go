package eventhttp

import (
	"encoding/base64"
	"encoding/json"
	"mime"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/outbound-events/outbound/pkg/event"
)

// The content types of CloudEvents in JSON.
const (
	mediaStructured = "application/cloudevents+json"
	mediaBatch      = "application/cloudevents-batch+json"
)

// prefix begins the headers that carry an event's attributes in binary mode, in lower case.
const prefix = "ce-"

// contentTypeAttribute is the attribute that Content-Type carries over HTTP and a header of its own over NATS.
const contentTypeAttribute = "datacontenttype"

// Structured gives the event of a message over HTTP or NATS as structured JSON. In binary mode (HTTP protocol binding 1.0.2, 3.1; NATS
// protocol binding, 3.1) it is made of headers and body; else it is the body. Header names are compared without regard to case. What
// cannot be an event is passed on so that the intake finds the fault: it has the words for it.
func Structured(header map[string][]string, body []byte) []byte {
	var names []string
	contentType, hasType := "", false
	for name, values := range header {
		switch lower := strings.ToLower(name); {
		case lower == prefix+contentTypeAttribute:
			hasType = true
			names = append(names, name)
		case strings.HasPrefix(lower, prefix):
			names = append(names, name)
		case lower == "content-type" && len(values) > 0:
			contentType = values[0]
		}
	}
	if len(names) == 0 || mediaOf(contentType) == mediaStructured {
		return body
	}
	if hasType {
		contentType = ""
	}
	slices.Sort(names)
	out := []byte{'{'}
	for _, name := range names {
		attribute := strings.ToLower(name)[len(prefix):]
		// A header that came twice becomes an attribute that came twice, which is refused.
		for _, value := range header[name] {
			value = decode(attribute, value)
			if attribute == contentTypeAttribute {
				contentType = value
			}
			out = member(out, attribute, text(value))
		}
	}
	if contentType != "" && !hasType {
		out = member(out, contentTypeAttribute, text(contentType))
	}
	if out = data(out, contentType, body); out == nil {
		return body
	}
	return append(out, '}')
}

// data adds the body: JSON as it is, text as a string, other bytes in base64 (JSON event format 1.0.2, 3.1). Nil: it is not the JSON that
// it says it is.
func data(out []byte, contentType string, body []byte) []byte {
	media := mediaOf(contentType)
	isJSON := media == "" || strings.HasSuffix(media, "/json") || strings.HasSuffix(media, "+json")
	switch {
	case len(body) == 0:
		return out
	case isJSON && !json.Valid(body):
		return nil
	case isJSON:
		return member(out, "data", body)
	case utf8.Valid(body) && isText(media):
		return member(out, "data", text(string(body)))
	default:
		return member(out, "data_base64", text(base64.StdEncoding.EncodeToString(body)))
	}
}

// isText reports whether data of a media type is text.
func isText(media string) bool {
	return strings.HasPrefix(media, "text/") || strings.HasSuffix(media, "/xml") || strings.HasSuffix(media, "+xml") ||
		strings.HasSuffix(media, "yaml") || media == "application/x-www-form-urlencoded"
}

// mediaOf is a content type without its parameters, in lower case; empty if it can't be read.
func mediaOf(contentType string) string {
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		media, _, _ = strings.Cut(contentType, ";")
	}
	return strings.ToLower(strings.TrimSpace(media))
}

func member(out []byte, name string, value []byte) []byte {
	if len(out) > 1 {
		out = append(out, ',')
	}
	return append(append(append(out, text(name)...), ':'), value...)
}

// text writes a JSON string. Bytes that are not UTF-8 stay as they are, for the intake to refuse.
func text(s string) []byte { return event.AppendQuoted(make([]byte, 0, len(s)+2), s) }

// decode reads a header's value (HTTP protocol binding 1.0.2, 3.1.3.2): it may be in double quotes, and its percent-encoding is undone.
// Many clients leave a URI as it is, whose own percent-encoding must stay: it does where the decoded text would be no URI.
func decode(attribute, value string) string {
	if len(value) > 1 && value[0] == '"' && value[len(value)-1] == '"' {
		value = unquoted(value[1 : len(value)-1])
	}
	decoded, err := url.PathUnescape(value)
	if err != nil {
		return value
	}
	isURI := attribute == "source" || attribute == "dataschema"
	if isURI && strings.ContainsFunc(decoded, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune("\"<>\\^`{|}", r) }) {
		return value
	}
	return decoded
}

// unquoted undoes the backslashes of a quoted string.
func unquoted(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
