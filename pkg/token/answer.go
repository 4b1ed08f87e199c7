package token

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// maxAnswer is how long an endpoint's answer may be. Tokens that carry claims have a few KiB.
const maxAnswer = 64 << 10

const (
	headerContentType = "Content-Type"
	typeJSON          = "application/json"
	typeForm          = "application/x-www-form-urlencoded"
)

// Lenient is a transport for token endpoints. It reads the answers whole, up to 64 KiB, and hands them on as RFC 6749 (5.1, 5.2) has
// them: JSON is JSON whatever its media type and with a byte-order mark, and expires_in is a whole number of seconds. It asks for JSON,
// because some endpoints answer with a form otherwise.
func Lenient(next http.RoundTripper) http.RoundTripper { return bounded{next} }

// bounded is a transport whose answers have an end: they are read at once, and are an error beyond maxAnswer.
type bounded struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Accept", typeJSON)
	resp, err := b.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	_ = resp.Body.Close() // it was read to its end, or is of no interest
	if err != nil {
		return nil, err
	}
	if len(body) > maxAnswer {
		return nil, errTooLong
	}
	if isPage(body) && resp.StatusCode/100 == 2 {
		return nil, errPage
	}
	if found, body := normalized(body); found != "" {
		resp.Header.Set(headerContentType, found)
		resp.Body = io.NopCloser(bytes.NewReader(body))
		return resp, nil
	}
	resp.Header.Set(headerContentType, typeJSON) // of which there is none: a form or text may not be taken for a token
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}

// CloseIdleConnections is looked for by http.Client.
func (b bounded) CloseIdleConnections() {
	if c, ok := b.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// isPage reports a page of HTML or another document of markup.
func isPage(body []byte) bool { return bytes.HasPrefix(withoutMark(body), []byte("<")) }

// withoutMark drops a byte-order mark, which RFC 8259 (8.1) lets readers ignore, and blanks.
func withoutMark(body []byte) []byte {
	return bytes.TrimSpace(bytes.TrimPrefix(bytes.TrimSpace(body), []byte("\xef\xbb\xbf")))
}

// normalized is an answer in the form that its own bytes show, with its media type; empty if it is neither a JSON object nor a form.
func normalized(body []byte) (mediaType string, out []byte) {
	body = withoutMark(body)
	if object, ok := normalizedJSON(body); ok {
		return typeJSON, object
	}
	form, err := url.ParseQuery(string(body))
	if err != nil || !form.Has("access_token") && !form.Has("error") {
		return "", nil
	}
	if form.Has(fieldExpiresIn) {
		form.Set(fieldExpiresIn, strconv.FormatInt(seconds(form.Get(fieldExpiresIn)), 10))
	}
	return typeForm, []byte(form.Encode())
}

const fieldExpiresIn = "expires_in"

// normalizedJSON makes the fields of an object what RFC 6749 has them. What is of another type is left out if the token can be used
// without it: then its life is unknown, or the words of an error are.
func normalizedJSON(body []byte) ([]byte, bool) {
	var fields map[string]json.RawMessage
	if json.Unmarshal(body, &fields) != nil || fields == nil {
		return nil, false
	}
	if raw, given := fields[fieldExpiresIn]; given {
		text := strings.Trim(string(raw), `"`)
		if raw[0] == '"' {
			_ = json.Unmarshal(raw, &text) // it is valid JSON, so a text
		}
		fields[fieldExpiresIn] = []byte(strconv.FormatInt(seconds(text), 10))
	}
	errorOfObject(fields)
	for _, name := range []string{"refresh_token", "error_description", "error_uri", "scope"} {
		if raw, given := fields[name]; given && raw[0] != '"' {
			delete(fields, name)
		}
	}
	out, err := json.Marshal(fields)
	return out, err == nil
}

// errorOfObject flattens an error that is an object with a code and a message, as APIs of clouds have it, and one that is no text.
func errorOfObject(fields map[string]json.RawMessage) {
	raw, given := fields["error"]
	if !given || raw[0] == '"' {
		return
	}
	switch string(raw) {
	case "null", "false", "0", "{}", "[]":
		delete(fields, "error")
		return
	}
	fields["error"] = []byte(`"error"`)
	var object map[string]json.RawMessage
	if json.Unmarshal(raw, &object) != nil {
		return
	}
	for _, name := range []string{"status", "code", "type"} {
		if code := object[name]; len(code) > 0 && code[0] == '"' {
			fields["error"] = code
			break
		}
	}
	if message := object["message"]; len(message) > 0 && fields["error_description"] == nil {
		fields["error_description"] = message
	}
}

// seconds is a life in whole seconds: rounded down if it is a fraction, and no longer than the library takes. What is no number is 0,
// a life that is unknown.
func seconds(text string) int64 {
	n, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	switch {
	case math.IsNaN(n) || err != nil && !math.IsInf(n, 0):
		return 0
	case n > 0 && n < 1:
		return 1 // not 0, which is unknown
	case n < 0:
		return -1
	default:
		return int64(min(n, math.MaxInt32))
	}
}
