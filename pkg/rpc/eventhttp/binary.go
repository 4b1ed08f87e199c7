package eventhttp

import (
	"encoding/json"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// prefix begins the headers that carry an event's attributes in binary mode.
const prefix = "Ce-"

// structured gives the event as structured JSON. In binary mode it is made of headers and body; else it is the body. What
// cannot be an event is passed on so that the intake finds the fault: it has the words for it.
func structured(h http.Header, body []byte) []byte {
	var names []string
	for name := range h {
		if strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	contentType := h.Get("Content-Type")
	media, _, _ := mime.ParseMediaType(contentType)
	if len(names) == 0 || media == "application/cloudevents+json" {
		return body
	}
	isJSON := media == "" || media == "application/json"
	if isJSON && len(body) > 0 && !json.Valid(body) {
		return body
	}
	slices.Sort(names)
	out := []byte{'{'}
	for _, name := range names {
		// A header that came twice becomes an attribute that came twice, which is refused.
		for _, value := range h[name] {
			out = member(out, strings.ToLower(strings.TrimPrefix(name, prefix)), text(decode(value)))
		}
	}
	if contentType != "" {
		out = member(out, "datacontenttype", text(contentType))
	}
	switch {
	case len(body) == 0:
	case isJSON:
		out = member(out, "data", body)
	default:
		out = member(out, "data", text(string(body)))
	}
	return append(out, '}')
}

func member(out []byte, name string, value []byte) []byte {
	if len(out) > 1 {
		out = append(out, ',')
	}
	return append(append(append(out, text(name)...), ':'), value...)
}

// text writes a JSON string. Bytes that are not UTF-8 stay as they are, for the intake to refuse.
func text(s string) []byte {
	const hex = "0123456789abcdef"
	out := append(make([]byte, 0, len(s)+2), '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			out = append(out, '\\', c)
		case c < ' ':
			out = append(out, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			out = append(out, c)
		}
	}
	return append(out, '"')
}

// decode undoes the percent-encoding of header values.
func decode(value string) string {
	if decoded, err := url.PathUnescape(value); err == nil {
		return decoded
	}
	return value
}
