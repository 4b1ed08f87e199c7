package config_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/configclient"
	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/pkg/waittest"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

const password = "correct horse battery"

// access calls as the admin token, as a person, or as the console itself.
func (h *fixture) access() outboundv1.AccessServiceClient {
	return h.accessAs(rpc.Principal{Role: rpc.RoleAdmin, Name: "ada"})
}

func (h *fixture) accessAs(p rpc.Principal) outboundv1.AccessServiceClient {
	return outboundv1.NewAccessServiceClient(rpc.ActingFor(h.conn, p))
}

func (h *fixture) signIn(name, password string) (*outboundv1.User, error) {
	return outboundv1.NewAccessServiceClient(h.conn).SignIn(h.ctx(), &outboundv1.SignInRequest{Name: name, Password: password})
}

func (h *fixture) user(u *outboundv1.User) *outboundv1.User {
	h.t.Helper()
	out, err := h.access().CreateUser(h.ctx(), &outboundv1.CreateUserRequest{User: u})
	if err != nil {
		h.t.Fatalf("create user %q: %v", u.GetName(), err)
	}
	return out
}

func (h *fixture) updateUser(u *outboundv1.User, paths ...string) (*outboundv1.User, error) {
	return h.access().UpdateUser(h.ctx(), &outboundv1.UpdateUserRequest{User: u, UpdateMask: &fieldmaskpb.FieldMask{Paths: paths}})
}

func TestUsersAreKeptAndTheirPasswordsAreNot(t *testing.T) {
	h := start(t)
	made := h.user(&outboundv1.User{Name: "olga@example.com", DisplayName: " Olga ", Password: password})
	if made.GetRole() != outboundv1.Role_VIEWER || made.GetDisplayName() != "Olga" || !made.GetPasswordSet() || made.GetPassword() != "" ||
		made.GetEtag() == "" || made.GetPasswordTime() == nil {
		t.Errorf("made %v", made)
	}
	if _, err := h.access().CreateUser(h.ctx(), &outboundv1.CreateUserRequest{User: &outboundv1.User{Name: "olga@example.com"}}); err == nil {
		t.Error("a name was given twice")
	} else {
		wantCode(t, err, codes.AlreadyExists)
	}
	entries, err := h.bucket(bus.BucketSettings).All(h.ctx(), "user.")
	if err != nil || len(entries) != 1 {
		t.Fatalf("stored %d, %v", len(entries), err)
	}
	var stored outboundv1.WatchSettingsResponse
	if err := proto.Unmarshal(entries[0].Value, &stored); err != nil {
		t.Fatal(err)
	}
	hash := stored.GetUsers()[0].GetPasswordHash()
	if strings.Contains(string(entries[0].Value), password) || !strings.HasPrefix(hash, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("stored as %q", hash)
	}
	listed, err := h.access().ListUsers(h.ctx(), &outboundv1.ListUsersRequest{})
	if err != nil || len(listed.GetUsers()) != 1 || !proto.Equal(listed.GetUsers()[0], made) {
		t.Errorf("listed %v, %v; made %v", listed, err, made)
	}
	if s := protojson.Format(listed); strings.Contains(s, "argon2id") {
		t.Error("a hash is listed")
	}
}

func TestUsersThatBreakARuleAreRefused(t *testing.T) {
	h := start(t)
	for _, x := range []struct {
		u    *outboundv1.User
		want []string
	}{
		{&outboundv1.User{}, []string{"name"}},
		{&outboundv1.User{Name: "Olga"}, []string{"name"}},
		{&outboundv1.User{Name: "a..b"}, []string{"name"}},
		{&outboundv1.User{Name: "a."}, []string{"name"}},
		{&outboundv1.User{Name: "admin"}, []string{"name"}},
		{&outboundv1.User{Name: "outbound"}, []string{"name"}},
		{&outboundv1.User{Name: strings.Repeat("a", 65)}, []string{"name"}},
		{&outboundv1.User{Name: "olga", Password: "elevenchars"}, []string{"password"}},
		{&outboundv1.User{Name: "olga", Password: strings.Repeat("x", 40)}, []string{"password"}},
		{&outboundv1.User{Name: "olga", Password: "olgaolgaOLGA"}, []string{"password"}},
		{&outboundv1.User{Name: "olga", DisplayName: "a\nb", Password: "short"}, []string{"displayName", "password"}},
	} {
		_, err := h.access().CreateUser(h.ctx(), &outboundv1.CreateUserRequest{User: x.u})
		wantFields(t, err, x.want...)
	}
	wantCode(t, func() error { _, err := h.updateUser(&outboundv1.User{Name: "nobody"}, "role"); return err }(), codes.NotFound)
	wantCode(t, func() error { _, err := h.updateUser(&outboundv1.User{Name: "../x"}, "role"); return err }(), codes.NotFound)
}

func TestSigningInAnswersTheSameToAllWhoMayNot(t *testing.T) {
	h := start(t)
	h.user(&outboundv1.User{Name: "ada", Role: outboundv1.Role_ADMIN, Password: password})
	h.user(&outboundv1.User{Name: "gone", Password: password, Disabled: true})
	h.user(&outboundv1.User{Name: "elsewhere"})
	u, err := h.signIn("ada", password)
	if err != nil || u.GetRole() != outboundv1.Role_ADMIN || u.GetPasswordTime() == nil {
		t.Fatalf("%v, %v", u, err)
	}
	texts := map[string]bool{}
	for _, x := range [][2]string{{"ada", "wrong password"}, {"ada", password + " "}, {"nobody", password}, {"gone", password},
		{"elsewhere", password}, {"user.ada", password}, {"*", password}} {
		_, err := h.signIn(x[0], x[1])
		wantCode(t, err, codes.Unauthenticated)
		texts[err.Error()] = true
	}
	if len(texts) != 1 {
		t.Errorf("refused in %d ways: %v", len(texts), texts)
	}
	if _, err := h.access().SignIn(h.ctx(), &outboundv1.SignInRequest{Name: "ada", Password: password}); err == nil {
		t.Error("a person tried passwords by the API")
	} else {
		wantCode(t, err, codes.PermissionDenied)
	}
}

func TestPasswordsAreChangedByAdminsAndTheirOwners(t *testing.T) {
	h := start(t)
	h.user(&outboundv1.User{Name: "ada", Role: outboundv1.Role_ADMIN, Password: password})
	before := h.user(&outboundv1.User{Name: "vera", DisplayName: "Vera", Password: password})
	after, err := h.updateUser(&outboundv1.User{Name: "vera", DisplayName: "Vera V.", Role: outboundv1.Role_OPERATOR})
	if err != nil || !after.GetPasswordTime().AsTime().Equal(before.GetPasswordTime().AsTime()) ||
		after.GetRole() != outboundv1.Role_OPERATOR {
		t.Fatalf("%v, %v", after, err)
	}
	if _, err := h.signIn("vera", password); err != nil {
		t.Errorf("a change without a password ended it: %v", err)
	}
	if after, err = h.updateUser(&outboundv1.User{Name: "vera", Password: "set by an admin"}, "password"); err != nil ||
		after.GetDisplayName() != "Vera V." || !after.GetPasswordTime().AsTime().After(before.GetPasswordTime().AsTime()) {
		t.Fatalf("%v, %v", after, err)
	}
	vera := h.accessAs(rpc.Principal{Role: rpc.RoleOperator, Name: "vera"})
	change := func(c outboundv1.AccessServiceClient, now, next string) error {
		_, err := c.ChangePassword(h.ctx(), &outboundv1.ChangePasswordRequest{CurrentPassword: now, NewPassword: next})
		return err
	}
	wantFields(t, change(vera, password, "set by vera herself"), "currentPassword")
	wantFields(t, change(vera, "set by an admin", "set by an admin"), "newPassword")
	if err := change(vera, "set by an admin", "set by vera herself"); err != nil {
		t.Fatal(err)
	}
	for word, fits := range map[string]bool{password: false, "set by an admin": false, "set by vera herself": true} {
		if _, err := h.signIn("vera", word); (err == nil) != fits {
			t.Errorf("%q: %v", word, err)
		}
	}
	wantCode(t, change(h.accessAs(rpc.Principal{Role: rpc.RoleAdmin, Name: "admin"}), "x", "a long password"), codes.FailedPrecondition)
}

// After some wrong passwords in a row even the right one is refused for a while, which is longer each time.
func TestGuessesOfTheOwnPasswordAreSlowedDown(t *testing.T) {
	h := start(t)
	h.user(&outboundv1.User{Name: "vera", Password: password})
	h.user(&outboundv1.User{Name: "olga", Password: password})
	change := func(name, now string) error {
		c := h.accessAs(rpc.Principal{Role: rpc.RoleViewer, Name: name})
		_, err := c.ChangePassword(h.ctx(), &outboundv1.ChangePasswordRequest{CurrentPassword: now, NewPassword: "set by herself"})
		return err
	}
	var tried, refused atomic.Int64
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			switch err := change("vera", "a wrong password"); status.Code(err) {
			case codes.InvalidArgument:
				tried.Add(1)
			case codes.ResourceExhausted:
				refused.Add(1)
				if rpc.RetryAfter(status.Convert(err)) == 0 {
					t.Errorf("no wait: %v", err)
				}
			default:
				t.Error(err)
			}
		})
	}
	all.Wait()
	if tried.Load() < 5 || tried.Load() > 8 || refused.Load() == 0 {
		t.Errorf("of 20 guesses %d were tried and %d refused", tried.Load(), refused.Load())
	}
	if err := change("olga", password); err != nil {
		t.Errorf("another user: %v", err)
	}
}

func TestTheLastAdminStays(t *testing.T) {
	h := start(t)
	ada := h.user(&outboundv1.User{Name: "ada", Role: outboundv1.Role_ADMIN, Password: password})
	h.user(&outboundv1.User{Name: "vera", Password: password})
	h.user(&outboundv1.User{Name: "gone", Role: outboundv1.Role_ADMIN, Disabled: true})
	remove := func(name string) error {
		_, err := h.access().DeleteUser(h.ctx(), &outboundv1.DeleteUserRequest{Name: name})
		return err
	}
	for _, change := range []func() error{
		func() error {
			_, err := h.updateUser(&outboundv1.User{Name: "ada", Disabled: true}, "disabled")
			return err
		},
		func() error {
			_, err := h.updateUser(&outboundv1.User{Name: "ada", Role: outboundv1.Role_OPERATOR}, "role")
			return err
		},
		func() error { _, err := h.updateUser(&outboundv1.User{Name: "ada"}); return err },
		func() error { return remove("ada") },
	} {
		wantCode(t, change(), codes.FailedPrecondition)
	}
	if _, err := h.updateUser(&outboundv1.User{Name: "vera", Role: outboundv1.Role_ADMIN}, "role"); err != nil {
		t.Fatal(err)
	}
	// Of two admins who take the role from each other at once, one stays.
	var wg sync.WaitGroup
	results := make([]error, 2)
	for i, name := range []string{"ada", "vera"} {
		wg.Go(func() {
			_, results[i] = h.updateUser(&outboundv1.User{Name: name, Role: outboundv1.Role_VIEWER}, "role")
		})
	}
	wg.Wait()
	if (results[0] == nil) == (results[1] == nil) {
		t.Fatalf("%v", results)
	}
	if results[0] == nil {
		wantCode(t, remove("vera"), codes.FailedPrecondition)
	} else if err := remove("vera"); err != nil {
		t.Error(err)
	}
	_, err := h.access().UpdateUser(h.ctx(),
		&outboundv1.UpdateUserRequest{User: &outboundv1.User{Name: "ada", DisplayName: "x", Role: outboundv1.Role_ADMIN, Etag: "0" +
			ada.GetEtag()}})
	wantCode(t, err, codes.Aborted)
}

// tokens is what another service knows of tokens, told by the watch.
func (h *fixture) tokens() configclient.Tokens {
	h.t.Helper()
	c := configclient.New(h.conn, configclient.Options{NoRecipients: true, Settings: true})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	h.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			h.t.Error(err)
		}
	})
	waittest.Receive(h.t, "the client to know the configuration", c.Ready())
	return configclient.NewTokens(c, time.Now)
}

func TestTokensOpenEveryServiceUntilTheyEnd(t *testing.T) {
	h := start(t)
	elsewhere := h.tokens()
	create := func(in *outboundv1.Token) *outboundv1.CreateTokenResponse {
		t.Helper()
		made, err := h.access().CreateToken(h.ctx(), &outboundv1.CreateTokenRequest{Token: in})
		if err != nil {
			t.Fatal(err)
		}
		return made
	}
	made := create(&outboundv1.Token{DisplayName: "CI", Role: outboundv1.Role_OPERATOR})
	short := create(&outboundv1.Token{DisplayName: "Short", ExpireTime: timestamppb.New(time.Now().Add(3 * time.Second))})
	if !strings.HasPrefix(made.GetSecret(), "obt_") || made.GetToken().GetCreator() != "ada" || made.GetToken().GetId() == "" ||
		short.GetToken().GetRole() != outboundv1.Role_VIEWER {
		t.Errorf("made %v", made)
	}
	known := func(a rpc.Authenticator, secret string) (rpc.Principal, bool) {
		p, err := a.Authenticate(h.ctx(), secret)
		if err != nil && !errors.Is(err, rpc.ErrUnknownToken) {
			t.Fatal(err)
		}
		return p, err == nil
	}
	for name, a := range map[string]rpc.Authenticator{"the config service": h.service.Tokens(), "another service": elsewhere} {
		want := rpc.Principal{Role: rpc.RoleOperator, Name: "token " + made.GetToken().GetId()}
		h.eventually(name+" knows the token", func() bool { p, ok := known(a, made.GetSecret()); return ok && p == want })
		if _, ok := known(a, made.GetSecret()+"x"); ok {
			t.Errorf("%s knows a token that is nobody's", name)
		}
		h.eventually(name+" knows the short one", func() bool {
			_, ok := known(a, short.GetSecret())
			return ok || time.Now().After(short.GetToken().GetExpireTime().AsTime())
		})
		h.eventually("the short one has ended at "+name, func() bool { _, ok := known(a, short.GetSecret()); return !ok })
	}
	listed, err := h.access().ListTokens(h.ctx(), &outboundv1.ListTokensRequest{})
	if err != nil || len(listed.GetTokens()) != 2 || strings.Contains(protojson.Format(listed), made.GetSecret()) {
		t.Errorf("%v, %v", listed, err)
	}
	if _, err := h.access().DeleteToken(h.ctx(), &outboundv1.DeleteTokenRequest{Id: made.GetToken().GetId()}); err != nil {
		t.Fatal(err)
	}
	for name, a := range map[string]rpc.Authenticator{"the config service": h.service.Tokens(), "another service": elsewhere} {
		h.eventually(name+" has forgotten the token", func() bool { _, ok := known(a, made.GetSecret()); return !ok })
	}
	_, err = h.access().DeleteToken(h.ctx(), &outboundv1.DeleteTokenRequest{Id: made.GetToken().GetId()})
	wantCode(t, err, codes.NotFound)
	_, err = h.access().CreateToken(h.ctx(),
		&outboundv1.CreateTokenRequest{Token: &outboundv1.Token{ExpireTime: timestamppb.New(time.Now().Add(-time.Second))}})
	wantFields(t, err, "displayName", "expireTime")
}

func TestUsersAreSentToNobody(t *testing.T) {
	h := start(t)
	h.user(&outboundv1.User{Name: "ada", Role: outboundv1.Role_ADMIN, Password: password})
	made, err := h.access().CreateToken(h.ctx(), &outboundv1.CreateTokenRequest{Token: &outboundv1.Token{DisplayName: "After"}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(h.ctx())
	defer cancel()
	stream, err := h.watcher.WatchSettings(ctx, &outboundv1.WatchSettingsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for {
		told, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if len(told.GetUsers()) > 0 {
			t.Fatal("users are told")
		}
		// The token was made after the user, so whoever is told of it would have been told of the user.
		if slices.ContainsFunc(told.GetTokens(),
			func(x *outboundv1.StoredToken) bool { return x.GetToken().GetId() == made.GetToken().GetId() }) {
			return
		}
	}
}

func TestGetSelfSaysWhoCalls(t *testing.T) {
	h := start(t)
	for _, p := range []rpc.Principal{{Role: rpc.RoleViewer, Name: "vera"}, {Role: rpc.RoleOperator, Name: "olga"},
		{Role: rpc.RoleAdmin, Name: "ada"}} {
		self, err := h.accessAs(p).GetSelf(h.ctx(), &outboundv1.GetSelfRequest{})
		if err != nil || self.GetName() != p.Name || !strings.EqualFold(self.GetRole().String(), p.Role.String()) {
			t.Errorf("%v is told %v, %v", p, self, err)
		}
	}
}
