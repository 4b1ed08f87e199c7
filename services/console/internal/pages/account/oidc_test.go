package account_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/oauth2-proxy/mockoidc"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/console"
	"github.com/outbound-events/outbound/services/console/internal/consoletest"
	"github.com/outbound-events/outbound/services/console/internal/pages/account"
)

// provider is an OpenID provider and a console that uses it.
type provider struct {
	t *testing.T
	*mockoidc.MockOIDC
	system *consoletest.System
}

const public = "https://outbound.example.com"

func openProvider(t *testing.T, adapt func(*account.OIDCOptions)) *provider {
	t.Helper()
	return openScripted(t, nil, func(o *account.OIDCOptions) {
		o.Scopes = []string{"openid", "profile", "email", "groups"}
		if adapt != nil {
			adapt(o)
		}
	})
}

// user returns a user of the provider.
func user(email string, groups ...string) *mockoidc.MockUser {
	return &mockoidc.MockUser{Subject: "1", Email: email, EmailVerified: true, PreferredUsername: "preferred", Groups: groups}
}

// leave signs in at the provider and returns the address that it redirects to.
func (p *provider) leave(b *consoletest.Browser, who mockoidc.User) string {
	p.t.Helper()
	p.QueueUser(who)
	a := b.Get("/sign-in/oidc?next=%2Faccount")
	to := a.Header.Get("Location")
	if a.Status != http.StatusFound || !strings.HasPrefix(to, p.Issuer()+"/") {
		p.t.Fatalf("%d to %q %s", a.Status, to, a.Body)
	}
	q, err := url.Parse(to)
	if err != nil {
		p.t.Fatal(err)
	}
	for name, want := range map[string]string{"code_challenge_method": "S256", "response_type": "code", "redirect_uri": public +
		"/sign-in/oidc/callback"} {
		if got := q.Query().Get(name); got != want {
			p.t.Errorf("%s is %q", name, got)
		}
	}
	resp, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Get(to)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	back := resp.Header.Get("Location")
	if !strings.HasPrefix(back, public+"/sign-in/oidc/callback?") {
		p.t.Fatalf("the provider answers %d to %q", resp.StatusCode, back)
	}
	return strings.TrimPrefix(back, public)
}

func TestOpenIDProviderSignsUsersIn(t *testing.T) {
	for name, x := range map[string]struct {
		adapt func(*account.OIDCOptions)
		who   *mockoidc.MockUser
		// role is the expected role; empty: the sign-in is refused with the text in says.
		role, name, says string
	}{
		"the default":         {nil, user("Eve@Example.com"), "viewer", "eve@example.com", ""},
		"a user of the name":  {nil, user("known@example.com"), "operator", "known@example.com", ""},
		"a claim":             {groups, user("eve@example.com", "x", "ops"), "operator", "eve@example.com", ""},
		"the greatest claim":  {groups, user("eve@example.com", "ops", "root"), "admin", "eve@example.com", ""},
		"a claim over a user": {groups, user("known@example.com", "root"), "admin", "known@example.com", ""},
		"no claim that counts": {func(o *account.OIDCOptions) { groups(o); o.DefaultRole = "none" }, user("eve@example.com", "x"), "", "",
			"You have no role"},
		"another name": {func(o *account.OIDCOptions) { o.UsernameClaim = "preferred_username" }, user("eve@example.com"), "viewer",
			"preferred", ""},
		"disabled": {groups, user("gone@example.com", "root"), "", "", "Your account is disabled"},
		"not verified": {nil, &mockoidc.MockUser{Subject: "1", Email: "eve@example.com"}, "", "",
			"does not say that your email address is verified"},
		"without a name":      {nil, &mockoidc.MockUser{Subject: "1", EmailVerified: true}, "", "", "did not send a valid user name"},
		"passing for a token": {nil, user("token abc"), "", "", "did not send a valid user name"},
		"passing for admin":   {nil, user("Admin"), "", "", "The name admin is reserved"},
	} {
		t.Run(name, func(t *testing.T) {
			p := openProvider(t, x.adapt)
			p.system.Access.Put(&outboundv1.User{Name: "known@example.com", Role: outboundv1.Role_OPERATOR}, "")
			p.system.Access.Put(&outboundv1.User{Name: "gone@example.com", Role: outboundv1.Role_ADMIN, Disabled: true}, "")
			b := p.system.Browser()
			a := b.Get(p.leave(b, x.who))
			if x.role == "" {
				if a.Status != http.StatusForbidden || !strings.Contains(a.Body, x.says) || b.Cookies["__Host-outbound"] != "" {
					t.Fatalf("%d %s with %v", a.Status, a.Body, b.Cookies)
				}
				return
			}
			if a.Status != http.StatusSeeOther || a.Header.Get("Location") != "/account" {
				t.Fatalf("%d %s", a.Status, a.Body)
			}
			page := b.Get("/account")
			if !strings.Contains(page.Body, `<dd class="mono">`+x.name+`</dd>`) || !strings.Contains(page.Body, "<dd>"+x.role+"</dd>") ||
				strings.Contains(page.Body, "newPassword") {
				t.Errorf("%d %s", page.Status, page.Body)
			}
		})
	}
}

func groups(o *account.OIDCOptions) {
	o.RoleClaim, o.Admins, o.Operators = "groups", []string{"root"}, []string{"ops"}
}

// TestForeignCallbacksAreRefused changes the parameters and cookies of the redirect to the provider and back.
func TestForeignCallbacksAreRefused(t *testing.T) {
	const cookie = "__Host-outbound-oidc"
	carry := func(b *consoletest.Browser, field, value string) {
		raw, err := base64.RawURLEncoding.DecodeString(b.Cookies[cookie])
		if err != nil {
			t.Fatal(err)
		}
		var j map[string]string
		if err := json.Unmarshal(raw, &j); err != nil || j[field] == "" {
			t.Fatalf("%v %v", j, err)
		}
		j[field] = value
		if raw, err = json.Marshal(j); err != nil {
			t.Fatal(err)
		}
		b.Cookies[cookie] = base64.RawURLEncoding.EncodeToString(raw)
	}
	for name, x := range map[string]struct {
		change func(b *consoletest.Browser, back string) string
		want   int
	}{
		"nothing":         {func(_ *consoletest.Browser, back string) string { return back }, http.StatusSeeOther},
		"another browser": {func(b *consoletest.Browser, back string) string { delete(b.Cookies, cookie); return back }, http.StatusBadRequest},
		"another state": {func(_ *consoletest.Browser, back string) string { return strings.Replace(back, "state=", "state=x", 1) },
			http.StatusBadRequest},
		"no state": {func(b *consoletest.Browser, back string) string {
			carry(b, "s", "")
			return "/sign-in/oidc/callback?state=&" + back
		}, http.StatusBadRequest},
		"another nonce": {func(b *consoletest.Browser, back string) string { carry(b, "n", "other"); return back }, http.StatusBadGateway},
		"another verifier": {func(b *consoletest.Browser, back string) string {
			carry(b, "v", strings.Repeat("v", 43))
			return back
		}, http.StatusBadGateway},
		"another code": {func(_ *consoletest.Browser, back string) string { return strings.Replace(back, "code=", "code=x", 1) },
			http.StatusBadGateway},
		"a refusal": {func(b *consoletest.Browser, back string) string {
			_, state, _ := strings.Cut(back, "state=")
			return "/sign-in/oidc/callback?error=access_denied&error_description=%3Cscript%3E&state=" + state
		}, http.StatusBadGateway},
	} {
		t.Run(name, func(t *testing.T) {
			p := openProvider(t, nil)
			b := p.system.Browser()
			a := b.Get(x.change(b, p.leave(b, user("eve@example.com"))))
			if a.Status != x.want || (b.Cookies["__Host-outbound"] != "") != (x.want == http.StatusSeeOther) ||
				strings.Contains(a.Body, "<script>") {
				t.Errorf("%d %s with %v", a.Status, a.Body, b.Cookies)
			}
		})
	}
	p := openProvider(t, nil)
	b := p.system.Browser()
	back := p.leave(b, user("eve@example.com"))
	journey := b.Cookies[cookie]
	if a := b.Get(back); a.Status != http.StatusSeeOther {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	again := p.system.Browser()
	again.Cookies[cookie] = journey
	if a := again.Get(back); a.Status != http.StatusBadGateway {
		t.Errorf("a code was redeemed twice: %d", a.Status)
	}
}

func TestUnavailableProviderIsReported(t *testing.T) {
	h := consoletest.Start(t, consoletest.Options{Options: func(o *console.Options) {
		o.PublicURL, o.OIDC.Issuer, o.OIDC.ClientID = public, "http://127.0.0.1:1", "x"
	}})
	if a := h.Browser().Get("/sign-in"); !strings.Contains(a.Body, "Sign in with OpenID Connect") {
		t.Error("there is no button")
	}
	if a := h.Browser().Get("/sign-in/oidc"); a.Status != http.StatusBadGateway || strings.Contains(a.Body, "127.0.0.1:1") {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	if !strings.Contains(h.Log.String(), "127.0.0.1:1") {
		t.Error("the log does not say which provider is away")
	}
}

func TestOIDCOptionsAreValidated(t *testing.T) {
	for want, change := range map[string]func(*console.Options){
		"oidc.issuer":        func(o *console.Options) { o.OIDC.Issuer = "login" },
		"oidc.clientId":      func(o *console.Options) { o.OIDC.ClientID = "" },
		"oidc.scopes":        func(o *console.Options) { o.OIDC.Scopes = nil },
		"oidc.usernameClaim": func(o *console.Options) { o.OIDC.UsernameClaim = "" },
		"oidc.defaultRole":   func(o *console.Options) { o.OIDC.DefaultRole = "god" },
		"oidc.roleClaim":     func(o *console.Options) { o.OIDC.Admins = []string{"x"} },
		"publicUrl":          func(o *console.Options) { o.PublicURL = "" },
	} {
		o := console.DefaultOptions()
		o.PublicURL, o.OIDC.Issuer, o.OIDC.ClientID = public, "https://login.example.com", "x"
		if err := o.Validate(); err != nil {
			t.Fatal(err)
		}
		change(&o)
		if err := o.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}
