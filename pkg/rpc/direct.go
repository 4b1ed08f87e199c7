package rpc

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// Direct is a client of services in this process that calls their unary methods without a connection and without encoding. A call meets
// what it meets at a server of the same options, in the same order, except for the server's span and its bound of a request's size.
// Register all services before the first call.
type Direct struct {
	guard   *interceptors
	methods map[string]directMethod
}

type directMethod struct {
	desc grpc.MethodDesc
	impl any
}

// NewDirect makes a client; services are registered on it as on a server.
func NewDirect(o ServerOptions) *Direct {
	return &Direct{guard: newInterceptors(o), methods: map[string]directMethod{}}
}

// RegisterService implements grpc.ServiceRegistrar.
func (d *Direct) RegisterService(s *grpc.ServiceDesc, impl any) {
	for _, m := range s.Methods {
		d.methods["/"+s.ServiceName+"/"+m.MethodName] = directMethod{m, impl}
	}
}

// Invoke implements grpc.ClientConnInterface. Options of a call have no effect.
func (d *Direct) Invoke(ctx context.Context, method string, request, reply any, _ ...grpc.CallOption) error {
	m, ok := d.methods[method]
	to, isMessage := reply.(proto.Message)
	if !ok || !isMessage {
		return status.Errorf(codes.Unimplemented, "unknown method %s", method)
	}
	sent, _ := metadata.FromOutgoingContext(ctx)
	answer, err := m.desc.Handler(m.impl, metadata.NewIncomingContext(ctx, sent), func(in any) error { return merge(in, request) }, d.guard.unary)
	if err != nil {
		return err
	}
	return merge(to, answer)
}

// merge copies one message into another of the same type.
func merge(to, from any) error {
	a, ok := to.(proto.Message)
	b, also := from.(proto.Message)
	if !ok || !also || a.ProtoReflect().Descriptor() != b.ProtoReflect().Descriptor() {
		return status.Errorf(codes.Internal, "%T is no %T", from, to)
	}
	proto.Merge(a, b)
	return nil
}

// NewStream implements grpc.ClientConnInterface: there are no streams.
func (d *Direct) NewStream(_ context.Context, _ *grpc.StreamDesc, method string, _ ...grpc.CallOption) (grpc.ClientStream, error) {
	return nil, status.Errorf(codes.Unimplemented, "%s is a stream: use a connection", method)
}
