package declare

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/goccy/go-yaml"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/outbound-events/outbound/services/cli/internal/input"
	"github.com/outbound-events/outbound/services/cli/internal/output"
)

// plainValue is a field's value as the REST API writes it; null if it is absent.
func plainValue(fd protoreflect.FieldDescriptor, m protoreflect.Message) (any, error) {
	only := m.New()
	if m.Has(fd) {
		only.Set(fd, m.Get(fd))
	}
	raw, err := (protojson.MarshalOptions{EmitUnpopulated: true}).Marshal(only.Interface())
	if err != nil {
		return nil, fmt.Errorf("write the field %s: %w", fd.JSONName(), err)
	}
	var all map[string]any
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if err := dec.Decode(&all); err != nil {
		return nil, fmt.Errorf("write the field %s: %w", fd.JSONName(), err)
	}
	return writable(all[fd.JSONName()]), nil
}

// writable converts values read from JSON to values that YAML writes without loss.
func writable(v any) any {
	switch v := v.(type) {
	case string:
		return writableText(v)
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, err := v.Float64()
		if err != nil {
			return v.String()
		}
		return f
	case []any:
		for i := range v {
			v[i] = writable(v[i])
		}
		return v
	case map[string]any:
		for k := range v {
			v[k] = writable(v[k])
		}
		return v
	default:
		return v
	}
}

// writableText quotes texts that need it and keeps all others as they are, so that people can edit them.
func writableText(s string) any {
	s = input.Escape(s)
	if output.NeedsQuotes(s) {
		return quoted(s)
	}
	return s
}

// ordered is a declaration whose JSON keeps the order of the fields.
type ordered yaml.MapSlice

// MarshalJSON implements json.Marshaler.
func (o ordered) MarshalJSON() ([]byte, error) {
	var out bytes.Buffer
	for i, item := range o {
		sign := byte(',')
		if i == 0 {
			sign = '{'
		}
		key, err := json.Marshal(item.Key)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(inOrder(item.Value))
		if err != nil {
			return nil, err
		}
		out.WriteByte(sign)
		out.Write(key)
		out.WriteByte(':')
		out.Write(value)
	}
	if len(o) == 0 {
		out.WriteByte('{')
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}

func inOrder(v any) any {
	switch v := v.(type) {
	case yaml.MapSlice:
		return ordered(v)
	case []yaml.MapSlice:
		out := make([]ordered, len(v))
		for i := range v {
			out[i] = ordered(v[i])
		}
		return out
	case quoted:
		return string(v)
	default:
		return v
	}
}

// quoted is a text in double quotes, with escapes for characters that are not printable.
type quoted string

// MarshalYAML writes JSON's form, which is YAML's too.
func (q quoted) MarshalYAML() ([]byte, error) { return json.Marshal(string(q)) }
