package rpc

import (
	"context"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Routes sends each call to the server that answers it: the full method decides, else its service, e.g.
// "/outbound.v1.EventService/PublishEvent" before "/outbound.v1.EventService".
type Routes map[string]grpc.ClientConnInterface

// Invoke implements grpc.ClientConnInterface.
func (r Routes) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	conn, err := r.route(method)
	if err != nil {
		return err
	}
	return conn.Invoke(ctx, method, args, reply, opts...)
}

// NewStream implements grpc.ClientConnInterface.
func (r Routes) NewStream(ctx context.Context, d *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	conn, err := r.route(method)
	if err != nil {
		return nil, err
	}
	return conn.NewStream(ctx, d, method, opts...)
}

func (r Routes) route(method string) (grpc.ClientConnInterface, error) {
	if conn, ok := r[method]; ok {
		return conn, nil
	}
	if conn, ok := r[method[:max(0, strings.LastIndexByte(method, '/'))]]; ok {
		return conn, nil
	}
	return nil, status.Errorf(codes.Unimplemented, "no service of this installation serves %s", method)
}

// failFast makes calls that do not wait for a server that is away.
type failFast struct{ grpc.ClientConnInterface }

// Invoke implements grpc.ClientConnInterface.
func (c failFast) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	withEtag(ctx, args)
	return c.ClientConnInterface.Invoke(ctx, method, args, reply, append(opts, grpc.WaitForReady(false))...)
}

// NewStream implements grpc.ClientConnInterface.
func (c failFast) NewStream(ctx context.Context, d *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	return c.ClientConnInterface.NewStream(ctx, d, method, append(opts, grpc.WaitForReady(false))...)
}
