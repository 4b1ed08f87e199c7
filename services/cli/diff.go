package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// change is a field that is not as it is wanted.
type change struct {
	// Field in the spelling of the REST surface.
	Field string `json:"field"`
	From  string `json:"from"`
	To    string `json:"to"`
	// path is the field in a mask.
	path string
}

// comparison finds what has to change so that the fields of a mask are as wanted.
type comparison struct {
	want, have proto.Message
	mask       []string
	// secrets overwrites stored secrets, which can't be compared.
	secrets bool
}

func (c comparison) changes() []change {
	var out []change
	for _, path := range c.mask {
		w, h := c.want.ProtoReflect(), c.have.ProtoReflect()
		var names []string
		var fd protoreflect.FieldDescriptor
		steps := strings.Split(path, ".")
		for i, step := range steps {
			fd = w.Descriptor().Fields().ByName(protoreflect.Name(step))
			names = append(names, fd.JSONName())
			if i < len(steps)-1 {
				w, h = w.Get(fd).Message(), h.Get(fd).Message()
			}
		}
		if c.same(fd, w, h) {
			continue
		}
		out = append(out, change{Field: strings.Join(names, "."), From: text(fd, h), To: text(fd, w), path: path})
	}
	return out
}

func (c comparison) same(fd protoreflect.FieldDescriptor, want, have protoreflect.Message) bool {
	switch {
	case secret(fd):
		return want.Get(fd).String() == "" || stored(fd, have) && !c.secrets
	case fd.IsList() && fd.Message() != nil && hasSecret(fd.Message()):
		return c.sameSecrets(want.Get(fd).List(), have.Get(fd).List())
	case fd.IsList():
		return slices.Equal(sorted(want.Get(fd).List()), sorted(have.Get(fd).List()))
	case fd.IsMap() || !isNested(fd):
		return want.Has(fd) == have.Has(fd) && want.Get(fd).Equal(have.Get(fd))
	case want.Has(fd) != have.Has(fd):
		return false
	case fd.Message().Oneofs().Len() == 0 && namesNothing(want.Get(fd).Message()):
		// `backoff: {}` asks for it to be there, as the server fills it in.
		return true
	default:
		return c.sameMessage(want.Get(fd).Message(), have.Get(fd).Message())
	}
}

// namesNothing reports whether no field is set.
func namesNothing(m protoreflect.Message) bool {
	empty := true
	m.Range(func(protoreflect.FieldDescriptor, protoreflect.Value) bool {
		empty = false
		return false
	})
	return empty
}

// sameMessage compares two messages field by field, but for what only the server sets.
func (c comparison) sameMessage(want, have protoreflect.Message) bool {
	fields := want.Descriptor().Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		if fixed(fd) {
			continue
		}
		if isNested(fd) && !want.Has(fd) && !have.Has(fd) {
			continue
		}
		if !c.same(fd, want, have) {
			return false
		}
	}
	return true
}

// sameSecrets takes two lists of secrets for equal if each of one has its partner in the other, ending at the same time. The
// wanted ones get their partners' ids, so that writing the list keeps what is stored.
func (c comparison) sameSecrets(want, have protoreflect.List) bool {
	same := want.Len() == have.Len()
	for i, h := range partners(want, have) {
		w := want.Get(i).Message()
		if h == nil {
			same = false
			continue
		}
		fields := w.Descriptor().Fields()
		id, expire, kind, value := fields.ByName("id"), fields.ByName("expire_time"), fields.ByName("kind"), fields.ByName("secret")
		w.Set(id, h.Get(id))
		if w.Get(value).String() != "" && c.secrets {
			same = false
			continue
		}
		w.Clear(value)
		same = same && w.Has(expire) == h.Has(expire) && w.Get(expire).Equal(h.Get(expire)) && (!w.Has(kind) || w.Get(kind).Equal(h.Get(kind)))
	}
	return same
}

// partners finds to each wanted secret the stored one: that of its id, else the first that is nobody's. An id that is not stored
// is one of another installation, and counts as none.
func partners(want, have protoreflect.List) []protoreflect.Message {
	out, taken := make([]protoreflect.Message, want.Len()), make([]bool, have.Len())
	for _, byID := range []bool{true, false} {
		for i := range want.Len() {
			for j := 0; j < have.Len() && out[i] == nil; j++ {
				if !taken[j] && (!byID || idOf(want.Get(i).Message()) != "" && idOf(want.Get(i).Message()) == idOf(have.Get(j).Message())) {
					out[i], taken[j] = have.Get(j).Message(), true
				}
			}
		}
	}
	return out
}

// idOf is the id of a message that has one.
func idOf(m protoreflect.Message) string {
	if fd := m.Descriptor().Fields().ByName("id"); fd != nil {
		return m.Get(fd).String()
	}
	return ""
}

func hasSecret(md protoreflect.MessageDescriptor) bool {
	for i := range md.Fields().Len() {
		if secret(md.Fields().Get(i)) {
			return true
		}
	}
	return false
}

// stored reports whether the server says that it has a secret.
func stored(fd protoreflect.FieldDescriptor, have protoreflect.Message) bool {
	set := have.Descriptor().Fields().ByName(fd.Name() + "_set")
	return set != nil && have.Get(set).Bool()
}

// sorted is a list as text in an order of its own: what is listed in a resource is a set.
func sorted(l protoreflect.List) []string {
	out := make([]string, 0, l.Len())
	for i := range l.Len() {
		out = append(out, l.Get(i).String())
	}
	slices.SortFunc(out, cmp.Compare)
	return out
}

// shownLength is how many characters of a value are shown in a line.
const shownLength = 80

// text is a field's value as JSON, without secrets.
func text(fd protoreflect.FieldDescriptor, m protoreflect.Message) string {
	if secret(fd) {
		if m.Get(fd).String() != "" || stored(fd, m) {
			return "(secret)"
		}
		return "(none)"
	}
	switch {
	case m.Has(fd):
	case fd.IsList():
		return "[]"
	case fd.IsMap():
		return "{}"
	case fd.HasPresence():
		return "(none)"
	}
	only := m.New()
	only.Set(fd, m.Get(fd))
	copied := proto.Clone(only.Interface())
	redact(copied.ProtoReflect())
	raw, err := protojson.MarshalOptions{EmitDefaultValues: fd.Message() == nil}.Marshal(copied)
	if err != nil {
		return "(unreadable)"
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return "(unreadable)"
	}
	return short(compact(fields[fd.JSONName()]))
}

// short truncates a text that is too long for a line.
func short(s string) string {
	if r := []rune(s); len(r) > shownLength {
		return string(r[:shownLength]) + fmt.Sprintf("… (%d characters)", len(r))
	}
	return s
}

// redact leaves what a person compares: no secrets, and nothing that only the server sets.
func redact(m protoreflect.Message) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		switch {
		case secret(fd) && (stored(fd, m) || m.Has(fd)):
			m.Set(fd, protoreflect.ValueOfString("(secret)"))
		case !m.Has(fd):
		case fd.IsList() && fd.Message() != nil:
			for i := range m.Get(fd).List().Len() {
				redact(m.Get(fd).List().Get(i).Message())
			}
		case isNested(fd):
			redact(m.Get(fd).Message())
		}
	}
	for i := range fields.Len() {
		if fd := fields.Get(i); behaves(fd, annotations.FieldBehavior_OUTPUT_ONLY) {
			m.Clear(fd)
		}
	}
}

// compact is JSON without blanks, which the encoder sets at random.
func compact(raw json.RawMessage) string {
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		return string(raw)
	}
	b, err := json.Marshal(v)
	if err != nil {
		return string(raw)
	}
	return string(b)
}
