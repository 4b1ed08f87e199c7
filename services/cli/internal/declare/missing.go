package declare

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/outbound-events/outbound/services/cli/internal/resource"
)

// missingSecrets names the secrets that a declaration says are stored (`passwordSet: true` without a password, or a signing secret
// with an id alone) and that this server does not have.
func missingSecrets(want, have proto.Message) []string {
	w := want.ProtoReflect()
	if have == nil {
		return missingIn(w, w.New(), "")
	}
	return missingIn(w, have.ProtoReflect(), "")
}

func missingIn(want, have protoreflect.Message, path string) []string {
	var out []string
	fields := want.Descriptor().Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		name := path + fd.JSONName()
		switch {
		case resource.Secret(fd):
			if resource.Stored(fd, want) && want.Get(fd).String() == "" && !resource.Stored(fd, have) {
				out = append(out, name)
			}
		case !want.Has(fd):
		case fd.IsList() && fd.Message() != nil && resource.HasSecret(fd.Message()):
			out = append(out, missingInList(want.Get(fd).List(), have.Get(fd).List(), name)...)
		case resource.Nested(fd):
			out = append(out, missingIn(want.Get(fd).Message(), have.Get(fd).Message(), name+".")...)
		}
	}
	return out
}

func missingInList(want, have protoreflect.List, path string) []string {
	var out []string
	for i, partner := range partners(want, have) {
		w := want.Get(i).Message()
		value := w.Descriptor().Fields().ByName("secret")
		if partner == nil && value != nil && idOf(w) != "" && w.Get(value).String() == "" {
			out = append(out, path+"["+idOf(w)+"].secret")
		}
	}
	return out
}
