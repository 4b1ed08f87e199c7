package declare

import (
	"maps"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/outbound-events/outbound/services/cli/internal/resource"
)

func declared[M proto.Message](list []M, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return declareAll(list)
}

func declareAll[M proto.Message](list []M) (any, error) {
	out := make([]yaml.MapSlice, 0, len(list))
	for _, m := range list {
		d, err := declare(m.ProtoReflect())
		if err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, nil
}

// declare returns every field of a message that can be set, in the order of the API. An absent message is null, so that apply removes
// it where it exists.
func declare(m protoreflect.Message) (yaml.MapSlice, error) {
	var out yaml.MapSlice
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		if !declarable(fd, m) {
			continue
		}
		v, err := declaredValue(fd, m)
		if err != nil {
			return nil, err
		}
		out = append(out, yaml.MapItem{Key: fd.JSONName(), Value: v})
	}
	return out, nil
}

// declarable reports whether a field is exported. It leaves out secrets, output-only fields, etags and the unset fields of a oneof.
// It keeps that a secret is stored, from which apply knows that one is missing.
func declarable(fd protoreflect.FieldDescriptor, m protoreflect.Message) bool {
	if of := fd.ContainingOneof(); of != nil && !m.Has(fd) {
		return false
	}
	if name, ok := strings.CutSuffix(string(fd.Name()), "_set"); ok {
		if of := m.Descriptor().Fields().ByName(protoreflect.Name(name)); of != nil && resource.Secret(of) {
			return m.Get(fd).Bool()
		}
	}
	return !resource.Secret(fd) && fd.Name() != "etag" && !resource.Behaves(fd, annotations.FieldBehavior_OUTPUT_ONLY)
}

func declaredValue(fd protoreflect.FieldDescriptor, m protoreflect.Message) (any, error) {
	switch {
	case fd.IsList() && fd.Message() != nil:
		list := make([]yaml.MapSlice, 0, m.Get(fd).List().Len())
		for i := range m.Get(fd).List().Len() {
			d, err := declare(m.Get(fd).List().Get(i).Message())
			if err != nil {
				return nil, err
			}
			list = append(list, d)
		}
		return list, nil
	case fd.IsMap() && fd.MapValue().Message() != nil:
		return declaredMap(m.Get(fd).Map())
	case resource.Nested(fd) && m.Has(fd):
		return declare(m.Get(fd).Message())
	default:
		return plainValue(fd, m)
	}
}

func declaredMap(values protoreflect.Map) (yaml.MapSlice, error) {
	byKey := map[string]protoreflect.Message{}
	values.Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
		byKey[k.String()] = v.Message()
		return true
	})
	out := yaml.MapSlice{}
	for _, k := range slices.Sorted(maps.Keys(byKey)) {
		d, err := declare(byKey[k])
		if err != nil {
			return nil, err
		}
		out = append(out, yaml.MapItem{Key: k, Value: d})
	}
	return out, nil
}
