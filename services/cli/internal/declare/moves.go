package declare

import (
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// addresses are the fields that say where secrets are sent.
func addresses() []string {
	return []string{"http.url", "http.auth.oauth2.token_url", "host", "port", "encryption", "oauth2.token_url"}
}

// moves reports whether an update of the fields of a mask gives a resource another address that secrets are sent to.
func moves(want, have protoreflect.Message, mask []string) bool {
	for _, path := range mask {
		for _, address := range addresses() {
			if (path == address || strings.HasPrefix(address, path+".")) && textAt(want, address) != textAt(have, address) {
				return true
			}
		}
	}
	return false
}

// textAt is the value at a path as text; empty if the message has no such field, or a message on the way is not set.
func textAt(m protoreflect.Message, path string) string {
	step, rest, more := strings.Cut(path, ".")
	fd := m.Descriptor().Fields().ByName(protoreflect.Name(step))
	switch {
	case fd == nil || !m.Has(fd):
		return ""
	case more:
		return textAt(m.Get(fd).Message(), rest)
	default:
		return m.Get(fd).String()
	}
}
