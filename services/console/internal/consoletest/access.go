package consoletest

import (
	"context"
	"maps"
	"slices"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// Access is an in-memory AccessService with the users viewer, operator and admin, all with Password.
type Access struct {
	outboundv1.UnimplementedAccessServiceServer

	mu        sync.Mutex
	users     map[string]*outboundv1.User
	passwords map[string]string
	// actors are the actors of the changes.
	actors []string
}

// NewAccess returns an Access with the three users.
func NewAccess() *Access {
	a := &Access{users: map[string]*outboundv1.User{}, passwords: map[string]string{}}
	for name, role := range map[string]outboundv1.Role_Kind{"viewer": outboundv1.Role_VIEWER, "operator": outboundv1.Role_OPERATOR,
		"admin": outboundv1.Role_ADMIN} {
		a.Put(&outboundv1.User{Name: name, DisplayName: "The " + name, Role: role}, Password)
	}
	return a
}

// Put creates or replaces a user. An empty password keeps the current one.
func (a *Access) Put(u *outboundv1.User, password string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	u, _ = proto.Clone(u).(*outboundv1.User)
	if before := a.users[u.GetName()]; password == "" {
		u.PasswordTime, u.PasswordSet = before.GetPasswordTime(), before.GetPasswordSet()
	} else {
		u.PasswordTime, u.PasswordSet, a.passwords[u.GetName()] = now(), true, password
	}
	a.users[u.GetName()] = u
}

// Clear removes all users.
func (a *Access) Clear() {
	a.mu.Lock()
	defer a.mu.Unlock()
	clear(a.users)
}

// Remove removes a user.
func (a *Access) Remove(name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.users, name)
}

// Actors returns the actors of the changes.
func (a *Access) Actors() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.actors)
}

// GetSelf implements outboundv1.AccessServiceServer.
func (a *Access) GetSelf(ctx context.Context, _ *outboundv1.GetSelfRequest) (*outboundv1.Self, error) {
	p, _ := rpc.PrincipalFrom(ctx)
	role := map[rpc.Role]outboundv1.Role_Kind{rpc.RoleAdmin: outboundv1.Role_ADMIN, rpc.RoleOperator: outboundv1.Role_OPERATOR,
		rpc.RoleViewer: outboundv1.Role_VIEWER}
	return &outboundv1.Self{Name: p.Name, Role: role[p.Role]}, nil
}

// ListUsers implements outboundv1.AccessServiceServer.
func (a *Access) ListUsers(context.Context, *outboundv1.ListUsersRequest) (*outboundv1.ListUsersResponse, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := &outboundv1.ListUsersResponse{}
	for _, name := range slices.Sorted(maps.Keys(a.users)) {
		out.Users = append(out.Users, a.users[name])
	}
	return out, nil
}

// CreateUser implements outboundv1.AccessServiceServer.
func (a *Access) CreateUser(ctx context.Context, q *outboundv1.CreateUserRequest) (*outboundv1.User, error) {
	u, _ := proto.Clone(q.GetUser()).(*outboundv1.User)
	if len(u.GetPassword()) < 12 {
		return nil, rpc.InvalidArgument(rpc.Violation{Field: "password", Description: "is too short: use at least 12 characters"})
	}
	password := u.GetPassword()
	u.Password = ""
	a.mu.Lock()
	taken := q.GetFirst() && len(a.users) > 0
	a.mu.Unlock()
	if taken {
		return nil, rpc.FailedPrecondition("USERS_EXIST", "there are users already")
	}
	a.Put(u, password)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.actors = append(a.actors, rpc.Actor(ctx))
	return a.users[u.GetName()], nil
}

// ChangePassword implements outboundv1.AccessServiceServer.
func (a *Access) ChangePassword(ctx context.Context, q *outboundv1.ChangePasswordRequest) (*emptypb.Empty, error) {
	name := rpc.Actor(ctx)
	a.mu.Lock()
	fits, u := a.passwords[name] == q.GetCurrentPassword(), a.users[name]
	a.mu.Unlock()
	if !fits {
		return nil, rpc.InvalidArgument(rpc.Violation{Field: "currentPassword", Description: "is not the password that holds now"})
	}
	a.Put(u, q.GetNewPassword())
	return empty(), nil
}

// SignIn implements outboundv1.AccessServiceServer.
func (a *Access) SignIn(_ context.Context, q *outboundv1.SignInRequest) (*outboundv1.User, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	u := a.users[q.GetName()]
	if u == nil || u.GetDisabled() || a.passwords[q.GetName()] != q.GetPassword() {
		return nil, status.Error(codes.Unauthenticated, "the name or the password is wrong")
	}
	return u, nil
}

// SignInWithOpenID implements outboundv1.AccessServiceServer.
func (a *Access) SignInWithOpenID(
	_ context.Context, q *outboundv1.SignInWithOpenIDRequest,
) (*outboundv1.SignInWithOpenIDResponse, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, u := range a.users {
		if u.GetOpenidIssuer() == q.GetIssuer() && u.GetOpenidSubject() == q.GetSubject() {
			return &outboundv1.SignInWithOpenIDResponse{User: u}, nil
		}
	}
	u := a.users[q.GetName()]
	switch {
	case u == nil:
		return &outboundv1.SignInWithOpenIDResponse{}, nil
	case u.GetOpenidSubject() != "":
		return nil, rpc.FailedPrecondition("LINKED_TO_ANOTHER", "The user "+q.GetName()+" is linked to another person.")
	case u.GetPasswordSet():
		return nil, rpc.FailedPrecondition("HAS_PASSWORD", "The user "+q.GetName()+" has a password.")
	}
	u, _ = proto.Clone(u).(*outboundv1.User)
	u.OpenidIssuer, u.OpenidSubject = q.GetIssuer(), q.GetSubject()
	a.users[q.GetName()] = u
	return &outboundv1.SignInWithOpenIDResponse{User: u, Linked: true}, nil
}

// CreateToken implements outboundv1.AccessServiceServer: a receiver's token needs a recipient, others have none.
func (a *Access) CreateToken(_ context.Context, q *outboundv1.CreateTokenRequest) (*outboundv1.CreateTokenResponse, error) {
	t := q.GetToken()
	if (t.GetRole() == outboundv1.Role_RECEIVER) != (t.GetRecipientId() != "") {
		return nil, rpc.InvalidArgument(rpc.Violation{Field: "recipientId", Description: "goes with the role RECEIVER"})
	}
	return &outboundv1.CreateTokenResponse{Token: t, Secret: "the-secret-of-" + t.GetRecipientId()}, nil
}

// ListTokens implements outboundv1.AccessServiceServer: one token with a hostile name, and one of a receiver.
func (a *Access) ListTokens(context.Context, *outboundv1.ListTokensRequest) (*outboundv1.ListTokensResponse, error) {
	return &outboundv1.ListTokensResponse{Tokens: []*outboundv1.Token{{
		Id: "t1", DisplayName: `"><script>alert(1)</script>`, Role: outboundv1.Role_VIEWER, CreateTime: now(), Creator: "admin",
	}, {
		Id: "t2", DisplayName: "Tickets", Role: outboundv1.Role_RECEIVER, RecipientId: "crm", CreateTime: now(), Creator: "admin",
	}}}, nil
}
