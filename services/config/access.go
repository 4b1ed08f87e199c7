package config

import (
	"context"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

const (
	kindUser  = "user"
	kindToken = "token"
)

// lastAdmin is the reason of what would leave nobody who may manage users.
const lastAdmin = "LAST_ADMIN"

// reservedUsers are what revisions name others than users by.
func reservedUsers() []string { return []string{"admin", "outbound"} }

// GetSelf implements outboundv1.AccessServiceServer.
func (s accessServer) GetSelf(ctx context.Context, _ *outboundv1.GetSelfRequest) (*outboundv1.Self, error) {
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

// user reads one user with its hash; nil if there is none.
func (s *Service) user(ctx context.Context, name string) (*outboundv1.StoredUser, error) {
	if !safeID(name) {
		return nil, nil
	}
	p, _, err := s.part(ctx, prefixUser+name)
	if err != nil || len(p.GetUsers()) == 0 {
		return nil, err
	}
	return p.GetUsers()[0], nil
}

// ListUsers implements outboundv1.AccessServiceServer.
func (s accessServer) ListUsers(ctx context.Context, _ *outboundv1.ListUsersRequest) (*outboundv1.ListUsersResponse, error) {
	all, err := s.allUsers(ctx)
	return &outboundv1.ListUsersResponse{Users: all}, err
}

func (s *Service) allUsers(ctx context.Context) ([]*outboundv1.User, error) {
	entries, err := s.settings.all(ctx, prefixUser)
	if err != nil {
		return nil, failed(ctx, err)
	}
	var out []*outboundv1.User
	for _, e := range entries {
		p, err := decodePart(e)
		if err != nil {
			return nil, err
		}
		for _, u := range p.GetUsers() {
			u.GetUser().Etag = etagOf(e.Revision)
			out = append(out, u.GetUser())
		}
	}
	slices.SortFunc(out, func(a, b *outboundv1.User) int { return strings.Compare(a.GetName(), b.GetName()) })
	return out, nil
}

// CreateUser implements outboundv1.AccessServiceServer.
func (s accessServer) CreateUser(ctx context.Context, q *outboundv1.CreateUserRequest) (*outboundv1.User, error) {
	u := &outboundv1.User{}
	if in := q.GetUser(); in != nil {
		u, _ = proto.Clone(in).(*outboundv1.User)
	}
	var v violations
	if slices.Contains(reservedUsers(), u.GetName()) {
		v.add("name", reasonReserved, "is reserved: choose another name")
	}
	if u.GetName() == "" {
		v.add("name", reasonMissing, "is empty: set the sign-in name")
	}
	hash, err := s.checkUser(&v, u)
	if err != nil {
		return nil, err
	}
	u.CreateTime, u.PasswordTime, u.PasswordSet = timestamppb.Now(), nil, false
	stored := &outboundv1.StoredUser{User: u, PasswordHash: hash}
	stampPassword(stored, hash)
	p, revision, err := s.changePartAs(ctx, prefixUser+u.GetName(), done{}, func(p *outboundv1.WatchSettingsResponse, revision uint64) error {
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

// checkUser holds a user against the rules and takes the password out of it: what is stored is the hash that is returned.
func (s *Service) checkUser(v *violations, u *outboundv1.User) (hash string, err error) {
	u.DisplayName, u.Etag = strings.TrimSpace(u.GetDisplayName()), ""
	if u.GetRole() == outboundv1.Role_ROLE_UNSPECIFIED {
		u.Role = outboundv1.Role_VIEWER
	}
	password := u.GetPassword()
	u.Password = ""
	if err := s.rules(v, u, kindUser); err != nil {
		return "", err
	}
	if password != "" {
		checkPassword(v, "password", password, u.GetName())
	}
	if err := v.err(); err != nil || password == "" {
		return "", err
	}
	return s.passwords.hash(password), nil
}

// stampPassword notes that a password was set, if one was.
func stampPassword(u *outboundv1.StoredUser, hash string) {
	if hash == "" {
		return
	}
	u.PasswordHash, u.User.PasswordSet, u.User.PasswordTime = hash, true, timestamppb.Now()
}

func visibleUser(p *outboundv1.WatchSettingsResponse, revision uint64) *outboundv1.User {
	u := p.GetUsers()[0].GetUser()
	u.Etag = etagOf(revision)
	return u
}

// UpdateUser implements outboundv1.AccessServiceServer.
func (s accessServer) UpdateUser(ctx context.Context, q *outboundv1.UpdateUserRequest) (*outboundv1.User, error) {
	in := q.GetUser()
	return s.changeUser(ctx, in.GetName(), in.GetEtag(), func(u *outboundv1.StoredUser) error {
		next, _ := proto.Clone(u.GetUser()).(*outboundv1.User)
		v := merge(next, in, q.GetUpdateMask())
		hash, err := s.checkUser(&v, next)
		if err != nil {
			return err
		}
		if err := s.keepAnAdmin(ctx, u.GetUser(), next); err != nil {
			return err
		}
		u.User = next
		stampPassword(u, hash)
		return nil
	})
}

// changeUser changes a user that exists. Users are changed one after another, so that two changes do not end the last two admins.
func (s *Service) changeUser(ctx context.Context, name, etag string, f func(u *outboundv1.StoredUser) error) (*outboundv1.User, error) {
	if !safeID(name) {
		return nil, rpc.NotFound(kindUser, name)
	}
	s.users.Lock()
	defer s.users.Unlock()
	p, revision, err := s.changePartAs(ctx, prefixUser+name, done{}, func(p *outboundv1.WatchSettingsResponse, revision uint64) error {
		if len(p.GetUsers()) == 0 {
			return rpc.NotFound(kindUser, name)
		}
		if etag != "" && etag != etagOf(revision) {
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

// keepAnAdmin refuses what would leave no admin. next is nil for a user that is to go.
func (s *Service) keepAnAdmin(ctx context.Context, before, next *outboundv1.User) error {
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
	return rpc.FailedPrecondition(lastAdmin, "user "+before.GetName()+"is the last admin: make another user an admin first")
}

// DeleteUser implements outboundv1.AccessServiceServer.
func (s accessServer) DeleteUser(ctx context.Context, q *outboundv1.DeleteUserRequest) (*emptypb.Empty, error) {
	_, err := s.changeUser(ctx, q.GetName(), q.GetEtag(), func(u *outboundv1.StoredUser) error {
		if err := s.keepAnAdmin(ctx, u.GetUser(), nil); err != nil {
			return err
		}
		return errGone
	})
	if err != nil {
		return nil, err
	}
	return &emptypb.Empty{}, nil
}
