package audited

import (
	"context"
	"encoding/json"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/outbound-events/outbound/pkg/audit"
)

// The metadata by which the console says where a call came from, and proves with the services' token that it may say so.
const (
	originOf    = "outbound-origin-bin"
	originProof = "outbound-origin-proof"
)

type originKey struct{}

// WithOrigin says where the calls that are made with a context come from. See Originating.
func WithOrigin(ctx context.Context, o audit.Origin) context.Context {
	return context.WithValue(ctx, originKey{}, o)
}

// Originating returns a connection whose calls say where they come from, as WithOrigin has noted it. token is the console's, or the
// services'; without one it is believed on a connection that proves by a certificate to be the console's.
func Originating(conn grpc.ClientConnInterface, token string) grpc.ClientConnInterface {
	return originating{conn, token}
}

type originating struct {
	grpc.ClientConnInterface
	token string
}

func (c originating) note(ctx context.Context) context.Context {
	o, ok := ctx.Value(originKey{}).(audit.Origin)
	if !ok {
		return ctx
	}
	// Strings can be written as JSON.
	raw, _ := json.Marshal(o)
	return metadata.AppendToOutgoingContext(ctx, originOf, string(raw), originProof, c.token)
}

// Invoke implements grpc.ClientConnInterface.
func (c originating) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	return c.ClientConnInterface.Invoke(c.note(ctx), method, args, reply, opts...)
}

// NewStream implements grpc.ClientConnInterface.
func (c originating) NewStream(ctx context.Context, d *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	return c.ClientConnInterface.NewStream(c.note(ctx), d, method, opts...)
}

// Said returns where a call came from as its caller says, and the token that proves that the caller may say so; empty: none.
func Said(ctx context.Context) (o audit.Origin, proof string, ok bool) {
	said, proofs := metadata.ValueFromIncomingContext(ctx, originOf), metadata.ValueFromIncomingContext(ctx, originProof)
	if len(said) != 1 || len(proofs) != 1 {
		return o, "", false
	}
	err := json.Unmarshal([]byte(said[0]), &o)
	return o, proofs[0], err == nil
}
