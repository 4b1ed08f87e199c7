package rpc

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/outbound-events/outbound/pkg/visible"
)

// reasonInvisible is the fault of a name with a character that nobody sees.
const reasonInvisible = "INVISIBLE_CHARACTER"

// isName reports whether a field holds a name or a line that people read. Texts of several lines, templates, keys and secrets are none.
func isName(fd protoreflect.FieldDescriptor) bool {
	name := string(fd.Name())
	return fd.Kind() == protoreflect.StringKind && !fd.IsMap() && (name == "name" || strings.HasSuffix(name, "_name") ||
		slices.Contains([]string{"username", "description", "title", "label", "creator", "openid_subject"}, name))
}

// invisibleIn lists the names in a message that hold characters that nobody sees, with paths below prefix.
func invisibleIn(m protoreflect.Message, prefix string) (out []Violation) {
	if m.Descriptor().ParentFile().Package() == "google.protobuf" {
		return nil
	}
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		path := strings.TrimPrefix(prefix+"."+fd.JSONName(), ".")
		switch {
		case fd.IsMap():
			if fd.MapValue().Message() != nil {
				v.Map().Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
					out = append(out, invisibleIn(v.Message(), path+"["+strconv.Quote(k.String())+"]")...)
					return true
				})
			}
		case fd.IsList():
			for i := range v.List().Len() {
				out = append(out, invisibleValue(fd, v.List().Get(i), fmt.Sprintf("%s[%d]", path, i))...)
			}
		default:
			out = append(out, invisibleValue(fd, v, path)...)
		}
		return true
	})
	slices.SortFunc(out, func(a, b Violation) int { return strings.Compare(a.Field, b.Field) })
	return out
}

func invisibleValue(fd protoreflect.FieldDescriptor, v protoreflect.Value, path string) []Violation {
	switch {
	case fd.Message() != nil:
		return invisibleIn(v.Message(), path)
	case isName(fd):
		if why := visible.Fault(v.String()); why != "" {
			return []Violation{{Field: path, Reason: reasonInvisible, Description: why}}
		}
	}
	return nil
}
