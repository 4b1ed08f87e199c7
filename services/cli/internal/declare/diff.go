package declare

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/outbound-events/outbound/pkg/configclient"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/cli/internal/output"
	"github.com/outbound-events/outbound/services/cli/internal/resource"
)

// change is a field that differs from the declaration.
type change struct {
	// Field in the spelling of the REST surface.
	Field string `json:"field"`
	From  string `json:"from"`
	To    string `json:"to"`
	// path is the field in a mask.
	path string
}

// comparison finds the fields of a mask that differ between a declared resource and the stored one.
type comparison struct {
	want, have proto.Message
	mask       []string
	// secrets writes secrets even where one is stored, as nobody can read it to compare.
	secrets bool
}

// changes returns the fields that differ. The server wants secrets again with another address that they are sent to, so the declared ones
// are written then.
func (c comparison) changes() []change {
	c.secrets = c.secrets || moves(c.want.ProtoReflect(), c.have.ProtoReflect(), c.mask)
	if !c.secrets {
		keepsConcealed(c.want, c.have)
	}
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
	case resource.Secret(fd):
		return want.Get(fd).String() == "" || resource.Stored(fd, have) && !c.secrets
	case fd.IsList() && fd.Message() != nil && resource.HasSecret(fd.Message()):
		return c.sameSecrets(want.Get(fd).List(), have.Get(fd).List())
	case fd.IsList():
		return slices.Equal(sorted(want.Get(fd).List()), sorted(have.Get(fd).List()))
	case fd.IsMap() || !resource.Nested(fd):
		return want.Has(fd) == have.Has(fd) && want.Get(fd).Equal(have.Get(fd))
	case want.Has(fd) != have.Has(fd):
		return false
	case fd.Message().Oneofs().Len() == 0 && namesNothing(want.Get(fd).Message()):
		// `backoff: {}` asks for a backoff with the defaults of the server.
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

// sameMessage compares two messages field by field, without the fields that only the server sets.
func (c comparison) sameMessage(want, have protoreflect.Message) bool {
	fields := want.Descriptor().Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		if resource.Fixed(fd) {
			continue
		}
		if resource.Nested(fd) && !want.Has(fd) && !have.Has(fd) {
			continue
		}
		if !c.same(fd, want, have) {
			return false
		}
	}
	return true
}

// sorted returns a list as sorted text: the lists of a resource are sets.
func sorted(l protoreflect.List) []string {
	out := make([]string, 0, l.Len())
	for i := range l.Len() {
		out = append(out, l.Get(i).String())
	}
	slices.SortFunc(out, cmp.Compare)
	return out
}

// text is a field's value as JSON, without secrets.
func text(fd protoreflect.FieldDescriptor, m protoreflect.Message) string {
	if resource.Secret(fd) {
		if m.Get(fd).String() != "" || resource.Stored(fd, m) {
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
	if h, ok := m.Interface().(*outboundv1.HttpRecipient); ok {
		// Which headers are secrets is said beside them.
		shown, _ := proto.Clone(h).(*outboundv1.HttpRecipient)
		configclient.Conceal(shown)
		m = shown.ProtoReflect()
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
	return output.Short(output.Compact(fields[fd.JSONName()]))
}

// redact hides secrets and removes the fields that only the server sets.
func redact(m protoreflect.Message) {
	if h, ok := m.Interface().(*outboundv1.HttpRecipient); ok {
		configclient.Conceal(h)
	}
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		switch {
		case resource.Secret(fd) && (resource.Stored(fd, m) || m.Has(fd)):
			m.Set(fd, protoreflect.ValueOfString("(secret)"))
		case !m.Has(fd):
		case fd.IsList() && fd.Message() != nil:
			for i := range m.Get(fd).List().Len() {
				redact(m.Get(fd).List().Get(i).Message())
			}
		case resource.Nested(fd):
			redact(m.Get(fd).Message())
		}
	}
	for i := range fields.Len() {
		if fd := fields.Get(i); resource.Behaves(fd, annotations.FieldBehavior_OUTPUT_ONLY) {
			m.Clear(fd)
		}
	}
}
