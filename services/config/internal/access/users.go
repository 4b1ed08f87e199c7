// Package access holds users and API tokens.
package access

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config/internal/naming"
	"github.com/outbound-events/outbound/services/config/internal/store"
	"github.com/outbound-events/outbound/services/config/internal/validation"
)

const (
	kindUser  = "user"
	kindToken = "token"
)

// lastAdmin is the reason of a change that would leave no admin.
const lastAdmin = "LAST_ADMIN"

// reservedUsers returns the names by which revisions name other actors.
func reservedUsers() []string { return []string{"admin", "outbound"} }

// Access is the users and API tokens. Its methods implement outboundv1.AccessServiceServer.
type Access struct {
	parts *store.Parts
	// recipients are what tokens of receivers are for.
	recipients *store.Recipients
	rules      *rpc.Validator
	passwords  *passwords
	guesses    *guesses
	now        func() time.Time
	// changing is held while a user changes, because the last admin must stay, and a person of an OpenID provider has one user.
	changing sync.Mutex
}

// New returns the users and API tokens in the settings. now is the clock that all services share: the broker's.
func New(parts *store.Parts, recipients *store.Recipients, rules *rpc.Validator, now func() time.Time) *Access {
	return &Access{parts: parts, recipients: recipients, rules: rules, passwords: newPasswords(), guesses: newGuesses(), now: now}
}

// GetSelf implements outboundv1.AccessServiceServer.
func (s *Access) GetSelf(ctx context.Context, _ *outboundv1.GetSelfRequest) (*outboundv1.Self, error) {
	p, ok := rpc.PrincipalFrom(ctx)
	if !ok {
		return nil, status.Error(codes.Unauthenticated, "not signed in")
	}
	out := &outboundv1.Self{Name: p.Name}
	switch p.Role {
	case rpc.RoleAdmin:
		out.Role = outboundv1.Role_ADMIN
	case rpc.RoleOperator:
		out.Role = outboundv1.Role_OPERATOR
	default:
		out.Role = outboundv1.Role_VIEWER
	}
	return out, nil
}

// user returns a user with its hash, or nil.
func (s *Access) user(ctx context.Context, name string) (*outboundv1.StoredUser, error) {
	if !naming.SafeID(name) {
		return nil, nil
	}
	p, _, err := s.parts.Get(ctx, store.PrefixUser+name)
	if err != nil || len(p.GetUsers()) == 0 {
		return nil, err
	}
	return p.GetUsers()[0], nil
}

// ListUsers implements outboundv1.AccessServiceServer.
func (s *Access) ListUsers(ctx context.Context, _ *outboundv1.ListUsersRequest) (*outboundv1.ListUsersResponse, error) {
	all, err := s.allUsers(ctx)
	return &outboundv1.ListUsersResponse{Users: all}, err
}

func (s *Access) allUsers(ctx context.Context) ([]*outboundv1.User, error) {
	parts, err := s.parts.List(ctx, store.PrefixUser)
	if err != nil {
		return nil, err
	}
	var out []*outboundv1.User
	for _, p := range parts {
		for _, u := range p.GetUsers() {
			u.GetUser().Etag = store.Etag(p.Revision)
			out = append(out, u.GetUser())
		}
	}
	slices.SortFunc(out, func(a, b *outboundv1.User) int { return strings.Compare(a.GetName(), b.GetName()) })
	return out, nil
}

// CreateUser implements outboundv1.AccessServiceServer.
func (s *Access) CreateUser(ctx context.Context, q *outboundv1.CreateUserRequest) (*outboundv1.User, error) {
	u := &outboundv1.User{}
	if in := q.GetUser(); in != nil {
		u, _ = proto.Clone(in).(*outboundv1.User)
	}
	var v validation.Violations
	if slices.Contains(reservedUsers(), u.GetName()) {
		v.Add("name", validation.Reserved, "is reserved: choose another name")
	}
	if u.GetName() == "" {
		v.Add("name", validation.Missing, "is empty: set the sign-in name")
	}
	s.changing.Lock()
	defer s.changing.Unlock()
	hash, err := s.checkUser(ctx, &v, u)
	if err != nil {
		return nil, err
	}
	if err := s.claimFirst(ctx, q); err != nil {
		return nil, err
	}
	u.CreateTime, u.PasswordTime, u.PasswordSet = timestamppb.New(s.now()), nil, false
	stored := &outboundv1.StoredUser{User: u, PasswordHash: hash}
	s.setPassword(stored, hash)
	p, revision, err := s.parts.Change(ctx, store.PrefixUser+u.GetName(), func(p *outboundv1.WatchSettingsResponse, revision uint64) error {
		if revision > 0 {
			return rpc.AlreadyExists("name", u.GetName(), "choose another name")
		}
		p.Users = []*outboundv1.StoredUser{stored}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return visibleUser(p, revision), nil
}

// checkUser checks a user, removes its password, and returns the hash to store.
func (s *Access) checkUser(ctx context.Context, v *validation.Violations, u *outboundv1.User) (hash string, err error) {
	u.DisplayName, u.Etag = strings.TrimSpace(u.GetDisplayName()), ""
	if u.GetRole() == outboundv1.Role_ROLE_UNSPECIFIED {
		u.Role = outboundv1.Role_VIEWER
	}
	password := u.GetPassword()
	u.Password = ""
	if err := v.Rules(s.rules, u, kindUser); err != nil {
		return "", err
	}
	if u.GetRole() == outboundv1.Role_RECEIVER {
		v.Add("role", validation.Invalid, "is for API tokens only: use VIEWER, OPERATOR or ADMIN")
	}
	if err := s.checkLink(ctx, v, u); err != nil {
		return "", err
	}
	if password != "" {
		s.passwords.check(v, "password", password, u.GetName(), u.GetDisplayName())
	}
	if err := v.Err(); err != nil || password == "" {
		return "", err
	}
	return s.passwords.hash(password), nil
}

// setPassword sets the hash and time of a password, unless the hash is empty.
func (s *Access) setPassword(u *outboundv1.StoredUser, hash string) {
	if hash == "" {
		return
	}
	u.PasswordHash, u.User.PasswordSet, u.User.PasswordTime = hash, true, timestamppb.New(s.now())
}

func visibleUser(p *outboundv1.WatchSettingsResponse, revision uint64) *outboundv1.User {
	u := p.GetUsers()[0].GetUser()
	u.Etag = store.Etag(revision)
	return u
}

// UpdateUser implements outboundv1.AccessServiceServer.
func (s *Access) UpdateUser(ctx context.Context, q *outboundv1.UpdateUserRequest) (*outboundv1.User, error) {
	in := q.GetUser()
	return s.changeUser(ctx, in.GetName(), in.GetEtag(), func(u *outboundv1.StoredUser) error {
		next, _ := proto.Clone(u.GetUser()).(*outboundv1.User)
		v := validation.Merge(next, in, q.GetUpdateMask())
		hash, err := s.checkUser(ctx, &v, next)
		if err != nil {
			return err
		}
		if err := s.requireAdmin(ctx, u.GetUser(), next); err != nil {
			return err
		}
		u.User = next
		s.setPassword(u, hash)
		return nil
	})
}

// changeUser changes a user that exists. Changes are serialized, so that two of them do not remove the last two admins.
func (s *Access) changeUser(ctx context.Context, name, etag string, f func(u *outboundv1.StoredUser) error) (*outboundv1.User, error) {
	if !naming.SafeID(name) {
		return nil, rpc.NotFound(kindUser, name)
	}
	s.changing.Lock()
	defer s.changing.Unlock()
	p, revision, err := s.parts.Change(ctx, store.PrefixUser+name, func(p *outboundv1.WatchSettingsResponse, revision uint64) error {
		if len(p.GetUsers()) == 0 {
			return rpc.NotFound(kindUser, name)
		}
		if etag != "" && etag != store.Etag(revision) {
			return rpc.Aborted(kindUser, name)
		}
		return f(p.GetUsers()[0])
	})
	if err != nil {
		return nil, err
	}
	return visibleUser(p, revision), nil
}

func adminUser(u *outboundv1.User) bool {
	return u.GetRole() == outboundv1.Role_ADMIN && !u.GetDisabled()
}

// requireAdmin refuses a change that would leave no admin. next is nil for a deletion.
func (s *Access) requireAdmin(ctx context.Context, before, next *outboundv1.User) error {
	if !adminUser(before) || next != nil && adminUser(next) {
		return nil
	}
	all, err := s.allUsers(ctx)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(all, func(u *outboundv1.User) bool { return u.GetName() != before.GetName() && adminUser(u) }) {
		return nil
	}
	return rpc.FailedPrecondition(lastAdmin, "user "+before.GetName()+" is the last admin: make another user an admin first")
}

// DeleteUser implements outboundv1.AccessServiceServer.
func (s *Access) DeleteUser(ctx context.Context, q *outboundv1.DeleteUserRequest) (*emptypb.Empty, error) {
	_, err := s.changeUser(ctx, q.GetName(), q.GetEtag(), func(u *outboundv1.StoredUser) error {
		if err := s.requireAdmin(ctx, u.GetUser(), nil); err != nil {
			return err
		}
		return store.ErrRemove
	})
	if err != nil {
		return nil, err
	}
	return &emptypb.Empty{}, nil
}
