package rpc

import (
	"context"
	"encoding/json"
	"net"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/outbound-events/outbound/pkg/audit"
)

// The metadata by which the console says where a call came from, and proves with the services' token that it may say so.
const (
	originOf      = "outbound-origin-bin"
	originProof   = "outbound-origin-proof"
	viaGRPC       = "grpc"
	agentMetadata = "user-agent"
)

type originKey struct{}

// WithOrigin says where the calls that are made with a context come from. See Originating.
func WithOrigin(ctx context.Context, o audit.Origin) context.Context {
	return context.WithValue(ctx, originKey{}, o)
}

// Originating returns a connection whose calls say where they come from, as WithOrigin has noted it. token is the services'; without one
// nobody believes it, and it is not said.
func Originating(conn grpc.ClientConnInterface, token string) grpc.ClientConnInterface {
	if token == "" {
		return conn
	}
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

// origin returns where a call came from: what the console says of it, else the peer.
func (g *interceptors) origin(ctx context.Context) audit.Origin {
	said, proof := metadata.ValueFromIncomingContext(ctx, originOf), metadata.ValueFromIncomingContext(ctx, originProof)
	if len(said) == 1 && len(proof) == 1 {
		p, err := g.auth.Authenticate(ctx, proof[0])
		var o audit.Origin
		if err == nil && p.Role == RoleService && json.Unmarshal([]byte(said[0]), &o) == nil {
			return o
		}
	}
	o := audit.Origin{Via: viaGRPC, Agent: strings.Join(metadata.ValueFromIncomingContext(ctx, agentMetadata), ", ")}
	if p, ok := peer.FromContext(ctx); ok {
		if host, _, err := net.SplitHostPort(p.Addr.String()); err == nil {
			o.Address = host
		}
	}
	return o
}
