package declare

import (
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/outbound-events/outbound/pkg/recipient/credential"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
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
		return credential.ConcealURL(m.Get(fd).String())
	}
}

// keepsConcealed gives a declared recipient what is shown in place of secrets, where it can't be compared: those of headers and of the URL.
// Then they stay as they are stored.
func keepsConcealed(want, have proto.Message) {
	w, h := httpOf(want), httpOf(have)
	if w == nil || h == nil {
		return
	}
	if strings.Contains(h.GetUrl(), credential.Concealed) && credential.ConcealURL(w.GetUrl()) == h.GetUrl() {
		w.Url = h.GetUrl()
	}
	for name, value := range h.GetHeaders() {
		if _, declared := w.GetHeaders()[name]; declared && value == credential.Concealed {
			w.Headers[name] = value
		}
	}
}

// httpOf is the HTTP recipient that a message is; nil if it is none.
func httpOf(m proto.Message) *outboundv1.HttpRecipient {
	r, _ := m.(*outboundv1.Recipient)
	return r.GetHttp()
}
