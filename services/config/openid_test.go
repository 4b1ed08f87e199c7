package config_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

const issuer = "https://login.example.com/realms/ops"

// comes is a sign-in by the provider, as the console reports it.
func (h *fixture) comes(subject, name string) (*outboundv1.SignInWithOpenIDResponse, error) {
	return outboundv1.NewAccessServiceClient(h.conn).SignInWithOpenID(h.ctx(),
		&outboundv1.SignInWithOpenIDRequest{Issuer: issuer, Subject: subject, Name: name})
}

func (h *fixture) mustCome(subject, name string) *outboundv1.SignInWithOpenIDResponse {
	h.t.Helper()
	out, err := h.comes(subject, name)
	if err != nil {
		h.t.Fatal(err)
	}
	return out
}

// The first person of a name has the user of that name from then on, under whatever name. Nobody who gets the name later does.
func TestAUserIsLinkedOnceToAPersonOfAProvider(t *testing.T) {
	h := start(t)
	h.user(&outboundv1.User{Name: "eve@example.com", Role: outboundv1.Role_OPERATOR})
	if out := h.mustCome("s-1", "nobody@example.com"); out.GetUser() != nil || out.GetLinked() {
		t.Fatalf("a stranger is %v", out)
	}
	first := h.mustCome("s-1", "eve@example.com")
	if u := first.GetUser(); !first.GetLinked() || u.GetOpenidIssuer() != issuer || u.GetOpenidSubject() != "s-1" ||
		u.GetRole() != outboundv1.Role_OPERATOR || u.GetPasswordSet() {
		t.Fatalf("the first is %v", first)
	}
	for _, name := range []string{"eve@example.com", "eve.married@example.com", "", "admin", "a b"} {
		if out := h.mustCome("s-1", name); out.GetUser().GetName() != "eve@example.com" || out.GetLinked() {
			t.Errorf("as %q she is %v", name, out)
		}
	}
	_, err := h.comes("s-2", "eve@example.com")
	wantCode(t, err, codes.FailedPrecondition)
	if err == nil || !strings.Contains(err.Error(), "is linked to another person of the OpenID provider") {
		t.Errorf("got %v", err)
	}
	// The same subject at another provider is another person.
	_, err = outboundv1.NewAccessServiceClient(h.conn).SignInWithOpenID(h.ctx(),
		&outboundv1.SignInWithOpenIDRequest{Issuer: issuer + "/", Subject: "s-1", Name: "eve@example.com"})
	wantCode(t, err, codes.FailedPrecondition)
	// An administrator unlinks.
	if _, err := h.updateUser(&outboundv1.User{Name: "eve@example.com"}, "openid_issuer", "openid_subject"); err != nil {
		t.Fatal(err)
	}
	if out := h.mustCome("s-2", "eve@example.com"); !out.GetLinked() || out.GetUser().GetOpenidSubject() != "s-2" {
		t.Errorf("after unlinking: %v", out)
	}
}

// A user with a password belongs to who knows it, unless an administrator says otherwise.
func TestAUserWithAPasswordIsLinkedByAnAdministratorAlone(t *testing.T) {
	h := start(t)
	h.user(&outboundv1.User{Name: "root", Role: outboundv1.Role_ADMIN, Password: password})
	_, err := h.comes("s-1", "root")
	wantCode(t, err, codes.FailedPrecondition)
	if err == nil || !strings.Contains(err.Error(), "has a password. Sign in with it, or ask an administrator to link") {
		t.Errorf("got %v", err)
	}
	if _, err := h.updateUser(&outboundv1.User{Name: "root", OpenidIssuer: issuer, OpenidSubject: "s-1"}, "openid_issuer",
		"openid_subject"); err != nil {
		t.Fatal(err)
	}
	if out := h.mustCome("s-1", "root"); out.GetUser().GetRole() != outboundv1.Role_ADMIN || out.GetLinked() {
		t.Errorf("linked by hand: %v", out)
	}
	if _, err := h.signIn("root", password); err != nil {
		t.Errorf("the password: %v", err)
	}
}

func TestALinkIsWholeAndOfOneUser(t *testing.T) {
	h := start(t)
	h.user(&outboundv1.User{Name: "ada", OpenidIssuer: issuer, OpenidSubject: "s-1"})
	h.user(&outboundv1.User{Name: "bob"})
	create := func(u *outboundv1.User) error {
		_, err := h.access().CreateUser(h.ctx(), &outboundv1.CreateUserRequest{User: u})
		return err
	}
	wantFields(t, create(&outboundv1.User{Name: "eve", OpenidIssuer: issuer}), "openidSubject")
	wantFields(t, create(&outboundv1.User{Name: "eve", OpenidSubject: "s-2"}), "openidIssuer")
	wantFields(t, create(&outboundv1.User{Name: "eve", OpenidIssuer: issuer, OpenidSubject: "s-1"}), "openidSubject")
	_, err := h.updateUser(&outboundv1.User{Name: "bob", OpenidIssuer: issuer, OpenidSubject: "s-1"}, "openid_issuer", "openid_subject")
	wantFields(t, err, "openidSubject")
	_, err = h.updateUser(&outboundv1.User{Name: "ada"}, "openid_issuer")
	wantFields(t, err, "openidIssuer")
	if _, err = h.updateUser(&outboundv1.User{Name: "ada", Role: outboundv1.Role_OPERATOR}, "role"); err != nil {
		t.Errorf("a change of something else: %v", err)
	}
	if out := h.mustCome("s-1", ""); out.GetUser().GetName() != "ada" || out.GetUser().GetRole() != outboundv1.Role_OPERATOR {
		t.Errorf("got %v", out)
	}
}

// Two people who come with the same name at once: one gets the user.
func TestOneOfManyGetsTheLink(t *testing.T) {
	h := start(t)
	h.user(&outboundv1.User{Name: "eve"})
	var wg sync.WaitGroup
	var linked, refused atomic.Int64
	for i := range 8 {
		wg.Go(func() {
			out, err := h.comes(fmt.Sprintf("s-%d", i), "eve")
			if out.GetLinked() {
				linked.Add(1)
			}
			if err != nil {
				refused.Add(1)
			}
		})
	}
	wg.Wait()
	if linked.Load() != 1 || refused.Load() != 7 {
		t.Errorf("%d are linked and %d refused, want 1 and 7", linked.Load(), refused.Load())
	}
}

func TestOnlyTheConsoleSaysWhoTheProviderKnows(t *testing.T) {
	h := start(t)
	for _, role := range []rpc.Role{rpc.RoleViewer, rpc.RoleOperator, rpc.RoleAdmin} {
		_, err := h.accessAs(rpc.Principal{Role: role, Name: "ada"}).SignInWithOpenID(h.ctx(),
			&outboundv1.SignInWithOpenIDRequest{Issuer: issuer, Subject: "s-1", Name: "root"})
		wantCode(t, err, codes.PermissionDenied)
	}
}
