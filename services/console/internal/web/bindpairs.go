package web

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// isPairs reports a list of messages that have a name and a value, and nothing else. Forms have it as lines name=value.
func isPairs(f protoreflect.FieldDescriptor) bool {
	if !f.IsList() || f.Message() == nil || f.Message().Fields().Len() != 2 {
		return false
	}
	for _, name := range []protoreflect.Name{"name", "value"} {
		if x := f.Message().Fields().ByName(name); x == nil || x.Kind() != protoreflect.StringKind || x.IsList() {
			return false
		}
	}
	return true
}

func shownPairs(l leaf) []string {
	fields, list, out := l.field.Message().Fields(), l.of.Get(l.field).List(), []string{}
	for i := range list.Len() {
		m := list.Get(i).Message()
		out = append(out, m.Get(fields.ByName("name")).String()+"="+m.Get(fields.ByName("value")).String())
	}
	return out
}

func (f *Form) readPairs(l leaf, path string) {
	fields := l.field.Message().Fields()
	l.of.Clear(l.field)
	list := l.of.Mutable(l.field).List()
	for i, line := range strings.Split(strings.Join(f.All(path), "\n"), "\n") {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if !ok {
			f.Add(fmt.Sprintf("%s[%d]", path, i), fmt.Sprintf("line %d is not in the form name=value", i+1))
			continue
		}
		m := list.NewElement()
		m.Message().Set(fields.ByName("name"), protoreflect.ValueOfString(strings.TrimSpace(name)))
		m.Message().Set(fields.ByName("value"), protoreflect.ValueOfString(strings.TrimSpace(value)))
		list.Append(m)
	}
}
