package rpc

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Validator holds requests against the rules written in the proto files. It may be used by many goroutines.
type Validator struct{ rules protovalidate.Validator }

// NewValidator makes a Validator; rules are compiled at their first use.
func NewValidator() (*Validator, error) {
	rules, err := protovalidate.New()
	if err != nil {
		return nil, fmt.Errorf("read the validation rules: %w", err)
	}
	return &Validator{rules: rules}, nil
}

// Check lists every fault of a message, with paths in JSON's spelling, each below prefix if that is not empty. The error is a
// fault of the rules, not of the message.
func (v *Validator) Check(m proto.Message, prefix string) ([]Violation, error) {
	hidden := invisibleIn(m.ProtoReflect(), prefix)
	err := v.rules.Validate(m)
	var invalid *protovalidate.ValidationError
	switch {
	case err == nil:
		return hidden, nil
	case !errors.As(err, &invalid):
		return nil, fmt.Errorf("validate %s: %w", m.ProtoReflect().Descriptor().FullName(), err)
	}
	out := make([]Violation, 0, len(invalid.Violations))
	for _, x := range invalid.Violations {
		out = append(out, Violation{
			Field:  fieldPath(prefix, m.ProtoReflect().Descriptor(), x.Proto.GetField()),
			Reason: reason(x.Proto.GetRuleId()), Description: words(x),
		})
	}
	for _, x := range hidden {
		if !slices.ContainsFunc(out, func(o Violation) bool { return o.Field == x.Field }) {
			out = append(out, x)
		}
	}
	return out, nil
}

// reason makes a word of a rule's id: string.max_len is STRING_MAX_LEN.
func reason(rule string) string {
	return strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(rule))
}

// fieldPath spells a path as JSON does: recipient.http.headers["X-A"], recipient.eventTypes[2].
func fieldPath(prefix string, m protoreflect.MessageDescriptor, path *validate.FieldPath) string {
	var b strings.Builder
	b.WriteString(prefix)
	for _, e := range path.GetElements() {
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		name := e.GetFieldName()
		var field protoreflect.FieldDescriptor
		if m != nil {
			field = m.Fields().ByNumber(protoreflect.FieldNumber(e.GetFieldNumber()))
		}
		m = nil
		if field != nil {
			name, m = field.JSONName(), inside(field)
		}
		b.WriteString(name + subscript(e))
	}
	return b.String()
}

// inside is the message that a field, or its values, hold; nil if none.
func inside(f protoreflect.FieldDescriptor) protoreflect.MessageDescriptor {
	if f.IsMap() {
		f = f.MapValue()
	}
	return f.Message()
}

func subscript(e *validate.FieldPathElement) string {
	switch e.WhichSubscript() {
	case validate.FieldPathElement_Index_case:
		return "[" + strconv.FormatUint(e.GetIndex(), 10) + "]"
	case validate.FieldPathElement_StringKey_case:
		return "[" + strconv.Quote(e.GetStringKey()) + "]"
	case validate.FieldPathElement_IntKey_case:
		return "[" + strconv.FormatInt(e.GetIntKey(), 10) + "]"
	case validate.FieldPathElement_UintKey_case:
		return "[" + strconv.FormatUint(e.GetUintKey(), 10) + "]"
	case validate.FieldPathElement_BoolKey_case:
		return "[" + strconv.FormatBool(e.GetBoolKey()) + "]"
	default:
		return ""
	}
}
