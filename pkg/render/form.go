package render

import (
	"slices"
	"strconv"

	"github.com/outbound-events/outbound/pkg/event"
)

// CustomPrefix begins the names of custom fields among the variables: `custom.<code name>`.
const CustomPrefix = "custom."

// Form is the variables of an event as application/x-www-form-urlencoded in UTF-8, in this order: those that every event has (`event`,
// `version`, `timestamp`, `appliance_id`, `lsid`, `external_key`, empty ones too), its own by name, then its custom fields by code name.
// Custom holds the code names of the fields that may be sent, sorted; nil sends none. Every character but letters, digits and `-._~` is
// escaped, a blank is a plus.
func Form(e *event.Event, custom []string) []byte {
	size := 0
	each(e, custom, func(prefix, name, value string) {
		size += escapedLen(prefix) + escapedLen(name) + escapedLen(value) + len("=&")
	})
	b := make([]byte, 0, size)
	each(e, custom, func(prefix, name, value string) {
		if len(b) > 0 {
			b = append(b, '&')
		}
		b = appendEscaped(b, prefix)
		b = appendEscaped(b, name)
		b = append(b, '=')
		b = appendEscaped(b, value)
	})
	return b
}

// each calls f for every variable in order.
func each(e *event.Event, custom []string, f func(prefix, name, value string)) {
	f("", "event", e.Type)
	f("", "version", event.SchemaVersion)
	f("", "timestamp", strconv.FormatInt(e.Time.Unix(), 10))
	f("", "appliance_id", e.Appliance)
	f("", "lsid", e.Session)
	f("", "external_key", e.ExternalKey)
	for _, v := range e.Variables {
		f("", v.Name, v.Value)
	}
	for _, v := range e.Custom {
		if _, ok := slices.BinarySearch(custom, v.Name); ok {
			f(CustomPrefix, v.Name, v.Value)
		}
	}
}

const upperHex = "0123456789ABCDEF"

// plain reports whether c is written unescaped in a form.
func plain(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~'
}

func escapedLen(s string) int {
	n := len(s)
	for i := range len(s) {
		if c := s[i]; !plain(c) && c != ' ' {
			n += len("%XX") - 1
		}
	}
	return n
}

func appendEscaped(b []byte, s string) []byte {
	for i := range len(s) {
		switch c := s[i]; {
		case plain(c):
			b = append(b, c)
		case c == ' ':
			b = append(b, '+')
		default:
			b = append(b, '%', upperHex[c>>4], upperHex[c&15])
		}
	}
	return b
}
