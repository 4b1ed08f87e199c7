package validation

import (
	"fmt"
	"strings"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
)

// Merge copies the fields of src that a mask names into dst, which is of the same type. Without a mask, or with `*`, it replaces all
// fields that can be changed. Output-only and immutable fields and etags stay, so that a resource can be sent back as it was read.
func Merge(dst, src proto.Message, mask *fieldmaskpb.FieldMask) Violations {
	var faults Violations
	// dst must not share memory with the request.
	from, to := proto.Clone(src).ProtoReflect(), dst.ProtoReflect()
	paths := mask.GetPaths()
	if len(paths) == 0 || len(paths) == 1 && paths[0] == "*" {
		paths = nil
		fields := to.Descriptor().Fields()
		for i := range fields.Len() {
			paths = append(paths, string(fields.Get(i).Name()))
		}
	}
	for _, p := range paths {
		if err := copyPath(to, from, strings.Split(p, ".")); err != nil {
			faults.Add("updateMask", unknownMask, fmt.Sprintf("path %q %s", p, err))
		}
	}
	return faults
}

func copyPath(dst, src protoreflect.Message, path []string) error {
	fields := dst.Descriptor().Fields()
	fd := fields.ByName(protoreflect.Name(path[0]))
	if fd == nil {
		fd = fields.ByJSONName(path[0])
	}
	if fd == nil {
		return fmt.Errorf("is not a field: %s has no %q", dst.Descriptor().Name(), path[0])
	}
	if outputOnly(fd) {
		return nil
	}
	if len(path) == 1 {
		// The order matters within a oneof: clearing a member that is not set has no effect, setting one clears the others.
		if src.Has(fd) {
			dst.Set(fd, src.Get(fd))
		} else {
			dst.Clear(fd)
		}
		return nil
	}
	if fd.Message() == nil || fd.IsList() || fd.IsMap() {
		return fmt.Errorf("continues after %q, which is replaced as a whole: end the path there", path[0])
	}
	if !src.Has(fd) && !dst.Has(fd) {
		// There is nothing to clear, but the path is still checked.
		return copyPath(dst.NewField(fd).Message(), src.Get(fd).Message(), path[1:])
	}
	return copyPath(dst.Mutable(fd).Message(), src.Get(fd).Message(), path[1:])
}

// outputOnly reports whether callers can't change a field.
func outputOnly(fd protoreflect.FieldDescriptor) bool {
	if fd.Name() == "etag" {
		return true
	}
	behaviors, _ := proto.GetExtension(fd.Options(), annotations.E_FieldBehavior).([]annotations.FieldBehavior)
	for _, b := range behaviors {
		if b == annotations.FieldBehavior_OUTPUT_ONLY || b == annotations.FieldBehavior_IMMUTABLE {
			return true
		}
	}
	return false
}
