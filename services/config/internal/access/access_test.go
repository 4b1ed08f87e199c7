package access_test

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/pkg/secret"
	"github.com/outbound-events/outbound/pkg/waittest"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config/internal/access"
	"github.com/outbound-events/outbound/services/config/internal/store"
)

const password = "correct horse battery"

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := waittest.Context(context.Background())
	t.Cleanup(cancel)
	return ctx
}

// empty is a store without keys, to copy from.
type empty struct{ store.Store }

func (empty) List(context.Context, string) ([]bus.Entry, error) { return nil, nil }

// start returns the access to a store in memory with one admin.
func start(t *testing.T) *access.Access {
	t.Helper()
	m, err := store.NewMemory(testContext(t), empty{}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	rules, err := rpc.NewValidator()
	if err != nil {
		t.Fatal(err)
	}
	a := access.New(store.NewParts(m), store.NewRecipients(m), rules, time.Now)
	root := &outboundv1.User{Name: "root", Role: outboundv1.Role_ADMIN, Password: password}
	if _, err := a.CreateUser(testContext(t), &outboundv1.CreateUserRequest{User: root}); err != nil {
		t.Fatal(err)
	}
	return a
}

func wantCode(t *testing.T, err error, want codes.Code) {
	t.Helper()
	if status.Code(err) != want {
		t.Errorf("answered %v, want %s", err, want)
	}
}

func TestAUserSignsInWithThePassword(t *testing.T) {
	a := start(t)
	u, err := a.SignIn(testContext(t), &outboundv1.SignInRequest{Name: "root", Password: password})
	if err != nil || u.GetName() != "root" || u.GetPassword() != "" || !u.GetPasswordSet() {
		t.Errorf("signed in as %v, %v", u, err)
	}
	for name, given := range map[string]string{"root": "another password", "nobody": password} {
		_, err := a.SignIn(testContext(t), &outboundv1.SignInRequest{Name: name, Password: given})
		wantCode(t, err, codes.Unauthenticated)
	}
}

func TestTheLastAdminStays(t *testing.T) {
	a := start(t)
	ctx := testContext(t)
	viewer := &outboundv1.UpdateUserRequest{
		User: &outboundv1.User{Name: "root", Role: outboundv1.Role_VIEWER}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"role"}},
	}
	_, err := a.UpdateUser(ctx, viewer)
	wantCode(t, err, codes.FailedPrecondition)
	_, err = a.DeleteUser(ctx, &outboundv1.DeleteUserRequest{Name: "root"})
	wantCode(t, err, codes.FailedPrecondition)
	other := &outboundv1.User{Name: "other", Role: outboundv1.Role_ADMIN}
	if _, err := a.CreateUser(ctx, &outboundv1.CreateUserRequest{User: other}); err != nil {
		t.Fatal(err)
	}
	if _, err := a.UpdateUser(ctx, viewer); err != nil {
		t.Error(err)
	}
}

func TestATokenIsAuthenticatedUntilItExpires(t *testing.T) {
	stored := func(id, plain string, end time.Time) *outboundv1.StoredToken {
		return &outboundv1.StoredToken{
			Token:        &outboundv1.Token{Id: id, DisplayName: id, Role: outboundv1.Role_OPERATOR, ExpireTime: timestamppb.New(end)},
			SecretSha256: secret.HashToken(plain),
		}
	}
	var state *outboundv1.WatchSettingsResponse
	a := access.NewAuthenticator(func() *outboundv1.WatchSettingsResponse { return state }, time.Now)
	if _, err := a.Authenticate(testContext(t), "good"); err == nil {
		t.Error("a token is authenticated before the settings are read")
	}
	state = &outboundv1.WatchSettingsResponse{Tokens: []*outboundv1.StoredToken{
		stored("a", "good", time.Now().Add(time.Hour)), stored("b", "old", time.Now().Add(-time.Hour)),
	}}
	if p, err := a.Authenticate(testContext(t), "good"); err != nil || p.Role != rpc.RoleOperator {
		t.Errorf("authenticated as %+v, %v", p, err)
	}
	for _, plain := range []string{"old", "unknown"} {
		if p, err := a.Authenticate(testContext(t), plain); err == nil {
			t.Errorf("token %q is authenticated as %+v", plain, p)
		}
	}
	state = &outboundv1.WatchSettingsResponse{}
	if _, err := a.Authenticate(testContext(t), "good"); err == nil {
		t.Error("a revoked token is authenticated")
	}
}
