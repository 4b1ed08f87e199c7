package validation

import (
	"fmt"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// Moved is a change of an address to which stored secrets are sent. A secret that was given for one host, scheme and port is not sent to
// another unless the same request gives it again: otherwise whoever may edit an address could read the secret there.
type Moved struct {
	// From and To are the addresses, as people read them.
	From, To string
	// Stored reports whether a secret is stored, by its field path. An element of a list is named by its id: `keys[k-1].secret`.
	Stored func(path string) bool
}

// Describe says what a secret is stored for, and what to do.
func (to Moved) Describe() string {
	return fmt.Sprintf("is stored for %s, and this change would send it to %s: send it again in the same request, or remove it",
		to.From, to.To)
}

// SaidAgain adds the secrets of a message, below field, that are stored for another address and are not given again. It finds secrets by
// their descriptors (debug_redact), so that a new one is not forgotten.
func (v *Violations) SaidAgain(m protoreflect.Message, field string, to Moved) {
	v.saidAgain(m, paths{shown: field, stored: field}, to)
}

// paths are a field's path as violations have it, with the index of an element, and as Moved.Stored has it, with its id.
type paths struct{ shown, stored string }

func (p paths) field(fd protoreflect.FieldDescriptor) paths {
	if p.shown == "" {
		return paths{fd.JSONName(), fd.JSONName()}
	}
	return paths{p.shown + "." + fd.JSONName(), p.stored + "." + fd.JSONName()}
}

func (p paths) element(i int, m protoreflect.Message) paths {
	id := fmt.Sprint(i)
	if fd := m.Descriptor().Fields().ByName("id"); fd != nil {
		id = m.Get(fd).String()
	}
	return paths{fmt.Sprintf("%s[%d]", p.shown, i), p.stored + "[" + id + "]"}
}

func (v *Violations) saidAgain(m protoreflect.Message, at paths, to Moved) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		p := at.field(fd)
		switch {
		case secretField(fd):
			if m.Get(fd).String() == "" && to.Stored(p.stored) {
				v.Add(p.shown, Missing, to.Describe())
			}
		case fd.Message() == nil || fd.IsMap() || !m.Has(fd):
		case fd.IsList():
			for j := range m.Get(fd).List().Len() {
				e := m.Get(fd).List().Get(j).Message()
				v.saidAgain(e, p.element(j, e), to)
			}
		default:
			v.saidAgain(m.Get(fd).Message(), p, to)
		}
	}
}

// secretField reports whether a field is a secret: a text that is never shown.
func secretField(fd protoreflect.FieldDescriptor) bool {
	o, ok := fd.Options().(*descriptorpb.FieldOptions)
	return ok && o.GetDebugRedact() && fd.Kind() == protoreflect.StringKind && !fd.IsList() && !fd.IsMap()
}
