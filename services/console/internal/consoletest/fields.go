package consoletest

import (
	"slices"
	"strings"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// FieldsOf returns the form names of the fields of a message: JSON paths for nested messages, row fields for lists and maps of messages.
// It leaves out fields that only the server sets.
func FieldsOf(m proto.Message) []string { return fieldsOf(m.ProtoReflect().Descriptor(), "") }

func fieldsOf(d protoreflect.MessageDescriptor, prefix string) []string {
	var out []string
	fields := d.Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		name := prefix + f.JSONName()
		switch {
		case outputOnly(f):
		case f.IsMap() && f.MapValue().Message() != nil:
			out = append(append(out, name+".type"), fieldsOf(f.MapValue().Message(), name+".")...)
		case f.IsMap():
			out = append(out, name+".name", name+".value")
		case f.Message() == nil || strings.HasPrefix(string(f.Message().FullName()), "google.protobuf."):
			out = append(out, name)
		case f.IsList() && f.Message().Name() == "OAuth2Parameter": // lines of one field
			out = append(out, name)
		default:
			out = append(out, fieldsOf(f.Message(), name+".")...)
		}
	}
	return out
}

func outputOnly(f protoreflect.FieldDescriptor) bool {
	behaviours, _ := proto.GetExtension(f.Options(), annotations.E_FieldBehavior).([]annotations.FieldBehavior)
	return slices.Contains(behaviours, annotations.FieldBehavior_OUTPUT_ONLY)
}

// HasField reports whether a page has a field with a name.
func (a Answer) HasField(name string) bool { return strings.Contains(a.Body, ` name="`+name+`"`) }
