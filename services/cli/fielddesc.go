package cli

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

// isNested tells messages with fields of their own from lists, maps, durations and times.
func isNested(fd protoreflect.FieldDescriptor) bool {
	return fd.Message() != nil && !fd.IsList() && !fd.IsMap() && !strings.HasPrefix(string(fd.Message().FullName()), "google.protobuf.")
}

// fixed reports whether no update changes a field.
func fixed(fd protoreflect.FieldDescriptor) bool {
	return fd.Name() == "etag" || behaves(fd, annotations.FieldBehavior_OUTPUT_ONLY) || behaves(fd, annotations.FieldBehavior_IMMUTABLE)
}

func behaves(fd protoreflect.FieldDescriptor, as annotations.FieldBehavior) bool {
	behaviours, _ := proto.GetExtension(fd.Options(), annotations.E_FieldBehavior).([]annotations.FieldBehavior)
	return slices.Contains(behaviours, as)
}

// secret reports whether a field is written and never read back.
func secret(fd protoreflect.FieldDescriptor) bool {
	o, ok := fd.Options().(*descriptorpb.FieldOptions)
	return ok && o.GetDebugRedact()
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
