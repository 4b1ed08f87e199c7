package render

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/outbound-events/outbound/pkg/event"
)

// Attribute is a context attribute of a CloudEvent, its value ready for an HTTP header.
type Attribute struct {
	// Name in CloudEvents, e.g. `subject`.
	Name  string
	Value string
}

// BinaryContentType is the content type of Binary's body.
const BinaryContentType = "application/json"

// Binary is the event as a CloudEvent in binary mode of the HTTP protocol binding (CloudEvents 1.0.2, 3.1): its context
// attributes, extension attributes included, in the order they were sent, and its data in JSON as body, to the byte as the
// appliance sent it, less the custom fields that may not be sent. An event without data has the body `{}`. Custom is as in JSON.
func Binary(e *event.Event, custom []string) ([]Attribute, []byte, error) {
	whole, err := JSON(e, custom)
	if err != nil {
		return nil, nil, err
	}
	var attributes []Attribute
	body := []byte("{}")
	err = members(whole, func(name string, value []byte, _ int) error {
		switch {
		case name == "data":
			if string(value) != "null" {
				body = value
			}
		case name == "datacontenttype" || !isAttribute(name):
		default:
			text, there, err := attributeText(value)
			if err == nil && there {
				attributes = append(attributes, Attribute{Name: name, Value: headerValue(text)})
			}
			return err
		}
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("parse %s: %w", e.Key(), err)
	}
	return attributes, body, nil
}

// isAttribute reports whether a name is one that CloudEvents allows: lower-case letters and digits. It fits a header then.
func isAttribute(name string) bool {
	for i := range len(name) {
		if c := name[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return name != ""
}

// attributeText is an attribute's value in its canonical text; there is false for null and for what can't be an attribute.
func attributeText(value []byte) (text string, there bool, err error) {
	switch value[0] {
	case '"':
		if err := json.Unmarshal(value, &text); err != nil {
			return "", false, fmt.Errorf("read an attribute: %w", err)
		}
		return text, true, nil
	case 'n', '{', '[':
		return "", false, nil
	default:
		return string(value), true, nil
	}
}

// headerValue writes a text as the value of a header, by section 3.1.3.2 of the binding: what is not printable ASCII, blanks,
// quotes and percent signs are percent-encoded, as the bytes of their UTF-8.
func headerValue(s string) string {
	bare := func(c byte) bool { return c > ' ' && c < 0x7f && c != '"' && c != '%' }
	size := len(s)
	for i := range len(s) {
		if !bare(s[i]) {
			size += len("%XX") - 1
		}
	}
	if size == len(s) {
		return s
	}
	var b strings.Builder
	b.Grow(size)
	for i := range len(s) {
		if c := s[i]; bare(c) {
			b.WriteByte(c)
		} else {
			b.WriteByte('%')
			b.WriteByte(upperHex[c>>4])
			b.WriteByte(upperHex[c&15])
		}
	}
	return b.String()
}
