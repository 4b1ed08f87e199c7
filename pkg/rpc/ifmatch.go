package rpc

import (
	"context"
	"strings"

	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// ifMatch is the metadata key under which the gateway hands the header on.
const ifMatch = "if-match"

// etagIn reads the header's values. `*` asks for what is there, whatever its etag.
func etagIn(values []string) string {
	if len(values) != 1 || values[0] == "*" {
		return ""
	}
	return strings.Trim(strings.TrimPrefix(values[0], "W/"), `"`)
}

// withEtag writes the etag of If-Match into a request that goes out, so that a service finds it where a gRPC caller puts it: in the
// request, or in the resource that is changed. An etag that is already there stays.
func withEtag(ctx context.Context, request any) {
	m, ok := request.(proto.Message)
	if !ok {
		return
	}
	out, _ := metadata.FromOutgoingContext(ctx)
	etag := etagIn(out.Get(ifMatch))
	if etag == "" || setEtag(m.ProtoReflect(), etag) {
		return
	}
	fields := m.ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		if fd.Message() != nil && !fd.IsList() && !fd.IsMap() && m.ProtoReflect().Has(fd) {
			setEtag(m.ProtoReflect().Mutable(fd).Message(), etag)
		}
	}
}

// setEtag reports whether a message has a place for an etag.
func setEtag(m protoreflect.Message, etag string) bool {
	fd := m.Descriptor().Fields().ByName("etag")
	if fd == nil || fd.Kind() != protoreflect.StringKind {
		return false
	}
	if m.Get(fd).String() == "" {
		m.Set(fd, protoreflect.ValueOfString(etag))
	}
	return true
}
