package rpc

import (
	"context"
	"strings"
	"unicode/utf8"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/outbound-events/outbound/pkg/visible"
)

// The metadata by which the console, which has the services' token, says for whom it calls. The name is binary, so that it may
// hold any letters.
const (
	actingName = "outbound-acting-name-bin"
	actingRole = "outbound-acting-role"
)

// maxActingName is the longest name of a person, in bytes.
const maxActingName = 256

// caller is a connection whose calls carry metadata, and do not wait for a server that is away.
type caller struct {
	grpc.ClientConnInterface
	metadata []string
}

// ActingFor returns a connection whose calls are made on behalf of a user, with the service token: the server treats them
// as calls of that user with the user's role. The role is RoleViewer, RoleOperator or RoleAdmin. A server that is
// not available fails the call at once.
func ActingFor(conn grpc.ClientConnInterface, p Principal) grpc.ClientConnInterface {
	return caller{conn, []string{actingName, p.Name, actingRole, p.Role.String()}}
}

// FailFast returns a connection whose calls fail at once if the server is not available.
func FailFast(conn grpc.ClientConnInterface) grpc.ClientConnInterface { return caller{conn, nil} }

// Bearing returns a connection whose calls carry a token; conn itself must not send one. Calls fail at once if the server is not available.
func Bearing(conn grpc.ClientConnInterface, token string) grpc.ClientConnInterface {
	return caller{conn, []string{"authorization", "Bearer " + token}}
}

// Invoke implements grpc.ClientConnInterface.
func (c caller) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	ctx = metadata.AppendToOutgoingContext(ctx, c.metadata...)
	return c.ClientConnInterface.Invoke(ctx, method, args, reply, append(opts, grpc.WaitForReady(false))...)
}

// NewStream implements grpc.ClientConnInterface.
func (c caller) NewStream(ctx context.Context, d *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	ctx = metadata.AppendToOutgoingContext(ctx, c.metadata...)
	return c.ClientConnInterface.NewStream(ctx, d, method, append(opts, grpc.WaitForReady(false))...)
}

// personOf returns the user that a call is made for: p itself, unless p is a service that names another user. Other callers that name one
// are refused.
func personOf(ctx context.Context, p Principal) (Principal, error) {
	names, roles := metadata.ValueFromIncomingContext(ctx, actingName), metadata.ValueFromIncomingContext(ctx, actingRole)
	if len(names) == 0 && len(roles) == 0 {
		return p, nil
	}
	if !p.acts() {
		return Principal{}, status.Errorf(codes.PermissionDenied, "%s can't act for other users", p.called())
	}
	if len(names) != 1 || len(roles) != 1 || !personName(names[0]) {
		return Principal{}, status.Error(codes.InvalidArgument, "a call on behalf of a user needs exactly one name and one role")
	}
	for _, role := range []Role{RoleViewer, RoleOperator, RoleAdmin} {
		if roles[0] == role.String() {
			return Principal{Role: role, Name: names[0]}, nil
		}
	}
	return Principal{}, status.Errorf(codes.InvalidArgument, "%q is not a user role", roles[0])
}

// personName reports whether a name is allowed in revisions and logs.
func personName(name string) bool {
	return name != "" && len(name) <= maxActingName && utf8.ValidString(name) && name == strings.TrimSpace(name) &&
		visible.Fault(name) == ""
}
