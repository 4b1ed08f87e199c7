package resource

import (
	"slices"
	"strings"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

func fieldOf(md protoreflect.MessageDescriptor, key string) protoreflect.FieldDescriptor {
	if fd := md.Fields().ByJSONName(key); fd != nil {
		return fd
	}
	return md.Fields().ByName(protoreflect.Name(key))
}

// Nested reports whether a field is a message with fields of its own: no list, map, duration or time.
func Nested(fd protoreflect.FieldDescriptor) bool {
	return fd.Message() != nil && !fd.IsList() && !fd.IsMap() && !strings.HasPrefix(string(fd.Message().FullName()), "google.protobuf.")
}

// Fixed reports whether no update changes a field.
func Fixed(fd protoreflect.FieldDescriptor) bool {
	return fd.Name() == "etag" || Behaves(fd, annotations.FieldBehavior_OUTPUT_ONLY) || Behaves(fd, annotations.FieldBehavior_IMMUTABLE)
}

// Behaves reports whether a field has a behaviour.
func Behaves(fd protoreflect.FieldDescriptor, as annotations.FieldBehavior) bool {
	behaviours, _ := proto.GetExtension(fd.Options(), annotations.E_FieldBehavior).([]annotations.FieldBehavior)
	return slices.Contains(behaviours, as)
}

// Secret reports whether a field is written and never read back.
func Secret(fd protoreflect.FieldDescriptor) bool {
	o, ok := fd.Options().(*descriptorpb.FieldOptions)
	return ok && o.GetDebugRedact()
}

// HasSecret reports whether a message has a field that is a secret.
func HasSecret(md protoreflect.MessageDescriptor) bool {
	for i := range md.Fields().Len() {
		if Secret(md.Fields().Get(i)) {
			return true
		}
	}
	return false
}

// Stored reports whether the server says that it has a secret.
func Stored(fd protoreflect.FieldDescriptor, have protoreflect.Message) bool {
	set := have.Descriptor().Fields().ByName(fd.Name() + "_set")
	return set != nil && have.Get(set).Bool()
}
