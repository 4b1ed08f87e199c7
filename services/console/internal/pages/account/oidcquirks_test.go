package account_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/golang-jwt/jwt/v5"
	"github.com/oauth2-proxy/mockoidc"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/console"
	"github.com/outbound-events/outbound/services/console/internal/consoletest"
	"github.com/outbound-events/outbound/services/console/internal/pages/account"
)

// scripted is a person whose claims are what a test says.
type scripted struct {
	subject string
	// claims are those of the ID token beside iss, aud, exp, iat, nonce and sub. info is the response of the userinfo endpoint.
	claims map[string]any
	info   string
}

func (s *scripted) ID() string { return s.subject }

func (s *scripted) Userinfo([]string) ([]byte, error) {
	if s.info == "" {
		return nil, errors.New("out of order")
	}
	return []byte(s.info), nil
}

func (s *scripted) Claims(_ []string, base *mockoidc.IDTokenClaims) (jwt.Claims, error) {
	b, err := json.Marshal(base)
	if err != nil {
		return nil, err
	}
	out := jwt.MapClaims{}
	if err := json.Unmarshal(b, &out); err != nil {
		return nil, err
	}
	for name, v := range s.claims {
		out[name] = v
	}
	return out, nil
}

// who has a verified address beside the claims that are given.
func who(subject, email string, claims ...map[string]any) *scripted {
	s := &scripted{subject: subject, claims: map[string]any{"email": email, "email_verified": true}}
	for _, more := range claims {
		for name, v := range more {
			s.claims[name] = v
		}
	}
	return s
}

// signingKey is the key of all providers: making one takes a while.
var signingKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

func newServer() (*mockoidc.MockOIDC, error) {
	key, err := signingKey()
	if err != nil {
		return nil, err
	}
	return mockoidc.NewServer(key)
}

// openScripted starts a provider whose responses pass through around.
func openScripted(t *testing.T, around func(http.Handler) http.Handler, adapt func(*account.OIDCOptions)) *provider {
	t.Helper()
	m, err := newServer()
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if around != nil {
		err = m.AddMiddleware(around)
	}
	if err = errors.Join(err, m.Start(l, nil)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Shutdown(); err != nil {
			t.Error(err)
		}
	})
	file := filepath.Join(t.TempDir(), "client.secret")
	if err := os.WriteFile(file, []byte(m.ClientSecret), 0o600); err != nil {
		t.Fatal(err)
	}
	p := &provider{t: t, MockOIDC: m}
	p.system = consoletest.Start(t, consoletest.Options{Options: func(o *console.Options) {
		o.PublicURL, o.OIDC.Issuer, o.OIDC.ClientID, o.OIDC.ClientSecretFile = public, m.Issuer(), m.ClientID, file
		if adapt != nil {
			adapt(&o.OIDC)
		}
	}})
	return p
}

// comes signs somebody in and returns the role and the name, or the words of the refusal.
func (p *provider) comes(person mockoidc.User) (role, name string, refused consoletest.Answer) {
	p.t.Helper()
	b := p.system.Browser()
	a := b.Get(p.leave(b, person))
	if a.Status != http.StatusSeeOther {
		if b.Cookies["__Host-outbound"] != "" {
			p.t.Errorf("a refused person has a session: %d %s", a.Status, a.Body)
		}
		return "", "", a
	}
	return rolePage(b.Get("/account"))
}

func rolePage(page consoletest.Answer) (role, name string, _ consoletest.Answer) {
	if _, after, ok := strings.Cut(page.Body, `<dd class="mono">`); ok {
		name, _, _ = strings.Cut(after, "<")
	}
	for _, r := range []string{"viewer", "operator", "admin"} {
		if strings.Contains(page.Body, "<dd>"+r+"</dd>") {
			role = r
		}
	}
	return role, name, page
}

func roles(claim string) func(*account.OIDCOptions) {
	return func(o *account.OIDCOptions) {
		o.RoleClaim, o.Admins, o.Operators = claim, []string{"root"}, []string{"ops"}
	}
}

type object = map[string]any

// Claims come in many forms; each gives the role that it means.
func TestClaimsAreReadInTheFormsThatProvidersSend(t *testing.T) {
	url := "https://example.com/roles"
	p := map[string]*provider{}
	for _, claim := range []string{"groups", "realm_access.roles", "resource_access.out.bound.roles", url, "https://example.com/app.roles"} {
		p[claim] = openScripted(t, nil, roles(claim))
	}
	for name, x := range map[string]struct {
		claim  string
		claims object
		want   string
	}{
		"a list":                   {"groups", object{"groups": []string{"x", "ops"}}, "operator"},
		"a text":                   {"groups", object{"groups": "root"}, "admin"},
		"a list in a text":         {"groups", object{"groups": "x, ops,root"}, "admin"},
		"a text that holds a role": {"groups", object{"groups": "no root"}, "viewer"},
		"an object":                {"groups", object{"groups": object{"ops": object{"1": "example.com"}}}, "operator"},
		"a list without a value":   {"groups", object{"groups": []string{}}, "viewer"},
		"by path":                  {"realm_access.roles", object{"realm_access": object{"roles": []string{"ops"}}}, "operator"},
		"a name with a dot":        {"realm_access.roles", object{"realm_access.roles": []string{"ops"}}, "operator"},
		"by path with dots in a name": {"resource_access.out.bound.roles",
			object{"resource_access": object{"out.bound": object{"roles": "ops"}}}, "operator"},
		"a URL": {url, object{url: []string{"root"}}, "admin"},
		"by path below a URL": {"https://example.com/app.roles",
			object{"https://example.com/app": object{"roles": []string{"root"}}}, "admin"},
	} {
		t.Run(name, func(t *testing.T) {
			person := who(name, "eve@example.com", x.claims)
			person.info = `{"sub":"` + name + `"}`
			if role, _, page := p[x.claim].comes(person); role != x.want {
				t.Errorf("%q, want %q: %d %s", role, x.want, page.Status, page.Body)
			}
		})
	}
}

// Nobody becomes a viewer because what the provider says can't be read.
func TestRolesThatCannotBeHadAreRefused(t *testing.T) {
	const overage, unread = "You are in more groups than fit into its token", "sent roles that cannot be read"
	p := openScripted(t, nil, roles("groups"))
	p.system.Access.Put(&outboundv1.User{Name: "known@example.com", Role: outboundv1.Role_ADMIN}, "")
	sources := object{"_claim_names": object{"groups": "src1"},
		"_claim_sources": object{"src1": object{"endpoint": "https://graph.example.com/"}}}
	for name, x := range map[string]struct {
		email, info, says, reason string
		status                    int
		claims                    object
	}{
		"overage":                 {"eve@example.com", `{"sub":"s"}`, overage, "groups_overage", 403, sources},
		"overage of a known user": {"known@example.com", `{"sub":"s"}`, overage, "groups_overage", 403, sources},
		"overage without sources": {"eve@example.com", `{"sub":"s"}`, overage, "groups_overage", 403, object{"hasgroups": true}},
		"overage as text":         {"eve@example.com", `{"sub":"s"}`, overage, "groups_overage", 403, object{"hasgroups": "true"}},
		"overage at userinfo":     {"eve@example.com", `{"sub":"s","_claim_names":{"groups":"src1"}}`, overage, "groups_overage", 403, nil},
		"a number":                {"eve@example.com", "", unread, "role_claim_invalid", 403, object{"groups": 7}},
		"a list of objects":       {"eve@example.com", "", unread, "role_claim_invalid", 403, object{"groups": []object{{"name": "root"}}}},
		"userinfo out of order":   {"eve@example.com", "", "Sign-in with the OpenID provider failed", "ask the userinfo endpoint", 502, nil},
		"userinfo of another": {"eve@example.com", `{"sub":"t","groups":["root"]}`, "Sign-in with the OpenID provider failed",
			"another subject (sub)", 502, nil},
		"userinfo of nobody": {"eve@example.com", `{"groups":["root"]}`, "Sign-in with the OpenID provider failed",
			"another subject (sub)", 502, nil},
	} {
		t.Run(name, func(t *testing.T) {
			person := who("s", x.email, x.claims)
			person.info = x.info
			before := p.system.Log.String()
			role, _, page := p.comes(person)
			log := strings.TrimPrefix(p.system.Log.String(), before)
			if role != "" || page.Status != x.status || !strings.Contains(page.Body, x.says) || !strings.Contains(log, x.reason) ||
				strings.Contains(log, "@example.com") {
				t.Errorf("%q, %d %s\n%s", role, page.Status, page.Body, log)
			}
		})
	}
}

// What the ID token lacks is asked for at the userinfo endpoint, and no more (OIDC Core 5.4).
func TestClaimsAtTheUserinfoEndpointAreUsed(t *testing.T) {
	asked := 0
	p := openScripted(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == mockoidc.UserinfoEndpoint {
				asked++
			}
			next.ServeHTTP(w, r)
		})
	}, roles("realm_access.roles"))
	for name, x := range map[string]struct {
		claims     object
		info       string
		role, name string
		asked      int
	}{
		"all of them": {object{}, `{"sub":"s","email":"Eve@example.com","email_verified":"true","realm_access":{"roles":["ops"]}}`, "operator",
			"eve@example.com", 1},
		"roles within an object that is there": {object{"email": "eve@example.com", "email_verified": true, "realm_access": object{"x": 1}},
			`{"sub":"s","realm_access":{"x":2,"roles":["root"]}}`, "admin", "eve@example.com", 1},
		"what both have is the token's": {object{"email": "eve@example.com", "email_verified": true, "realm_access": nil},
			`{"sub":"s","email":"bob@example.com","realm_access":{"roles":["ops"]}}`, "operator", "eve@example.com", 1},
		"the verification": {object{"email": "eve@example.com", "realm_access": object{"roles": "ops"}},
			`{"sub":"s","email":"EVE@example.com","email_verified":true}`, "operator", "eve@example.com", 1},
		"the verification of another address": {object{"email": "eve@example.com", "realm_access": object{"roles": "ops"}},
			`{"sub":"s","email":"bob@example.com","email_verified":true}`, "", "", 1},
		"nothing is missing": {object{"email": "eve@example.com", "email_verified": "True", "realm_access": object{"roles": []string{}}},
			"", "viewer", "eve@example.com", 0},
	} {
		t.Run(name, func(t *testing.T) {
			asked = 0
			role, user, page := p.comes(&scripted{subject: "s", claims: x.claims, info: x.info})
			if role != x.role || user != x.name || asked != x.asked {
				t.Errorf("%q %q after %d requests: %d %s", role, user, asked, page.Status, page.Body)
			}
		})
	}
}

func TestEmailVerifiedIsReadAsTextToo(t *testing.T) {
	p := openScripted(t, nil, nil)
	for name, x := range map[string]struct {
		verified any
		says     string
	}{
		"true": {true, ""}, "text": {"true", ""}, "text in capitals": {"TRUE", ""},
		"false": {false, "Your email address is not verified"}, "text false": {"false", "Your email address is not verified"},
		"a number": {1, "Your email address is not verified"}, "another text": {"yes", "Your email address is not verified"},
		"null": {nil, "does not say that your email address is verified"},
	} {
		t.Run(name, func(t *testing.T) {
			before := p.system.Log.String()
			role, _, page := p.comes(who("s", "eve@example.com", object{"email_verified": x.verified}))
			log := strings.TrimPrefix(p.system.Log.String(), before)
			if x.says == "" && role != "viewer" || x.says != "" && (page.Status != 403 || !strings.Contains(page.Body, x.says)) {
				t.Errorf("%q: %d %s", role, page.Status, page.Body)
			}
			if x.says != "" && !strings.Contains(log, "reason=email_") && !strings.Contains(log, `"reason":"email_`) {
				t.Errorf("the log does not tell the reason: %s", log)
			}
			if x.verified == nil && (!strings.Contains(page.Body, "oidc.usernameClaim: preferred_username") ||
				!strings.Contains(log, "email_verified is missing: have the provider send it, or set oidc.usernameClaim")) {
				t.Errorf("no way out is told: %s\n%s", page.Body, log)
			}
		})
	}
}

// The token endpoint of a provider is a token server like others.
func TestTheProvidersTokenIsReadInTheFormsThatServersSend(t *testing.T) {
	p := openScripted(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != mockoidc.TokenEndpoint {
				next.ServeHTTP(w, r)
				return
			}
			rec := httptest.NewRecorder()
			next.ServeHTTP(rec, r)
			body := bytes.Replace(rec.Body.Bytes(), []byte(`"token_type":"bearer"`), []byte(`"token_type":"JWT"`), 1)
			body = bytes.Replace(body, []byte(`"expires_in":`), []byte(`"expires_in":0.5e1,"x":`), 1)
			w.Header().Set("Content-Type", "text/plain")
			_, _ = w.Write(append([]byte("\ufeff"), body...))
		})
	}, roles("groups"))
	person := who("s", "eve@example.com")
	person.info = `{"sub":"s","groups":["ops"]}`
	if role, _, page := p.comes(person); role != "operator" {
		t.Errorf("%q: %d %s", role, page.Status, page.Body)
	}
}

func TestTheLogSaysWhatTheProviderRefused(t *testing.T) {
	var said string
	p := openScripted(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != mockoidc.TokenEndpoint {
				next.ServeHTTP(w, r)
				return
			}
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(said))
		})
	}, nil)
	for body, want := range map[string]string{
		`{"error":"invalid_client","error_description":"Not known."}`:                  `HTTP 400, \"invalid_client\": \"Not known.\"`,
		`{"error":"invalid_client","error_description":"Not ` + p.ClientSecret + `."}`: "HTTP 400, its words contain a secret",
		`<html>` + p.ClientSecret: `HTTP 400, \"\": \"\"`,
	} {
		said = body
		if _, _, page := p.comes(who("s", "eve@example.com")); page.Status != http.StatusBadGateway || strings.Contains(page.Body, "Not ") {
			t.Errorf("%d %s", page.Status, page.Body)
		}
		if log := p.system.Log.String(); strings.Contains(log, p.ClientSecret) || !strings.Contains(log, want) {
			t.Errorf("%s: the log says %s", body, log)
		}
	}
}
