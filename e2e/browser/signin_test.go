package browser_test

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/oauth2-proxy/mockoidc"

	"github.com/outbound-events/outbound/e2e/browser"
	"github.com/outbound-events/outbound/e2e/harness"
)

// public is a console as an organisation has it: behind a proxy that ends TLS, with people whom an OpenID provider knows.
type public struct {
	*mockoidc.MockOIDC
	proxy  *httptest.Server
	system *harness.System

	mu sync.Mutex
	// asked are the paths that the provider was asked for.
	asked []string
}

// openPublic starts the provider, the proxy and Outbound. The proxy passes on neither Host nor what browsers have said of where a form is
// from since 2023: what a browser too old for that says must do.
func openPublic(t *testing.T) *public {
	t.Helper()
	m, err := mockoidc.NewServer(nil)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &public{MockOIDC: m}
	if err := errors.Join(m.AddMiddleware(p.note), m.Start(l, nil)); err != nil {
		t.Fatal(err)
	}
	p.proxy = httptest.NewUnstartedServer(&httputil.ReverseProxy{FlushInterval: -1, Rewrite: func(r *httputil.ProxyRequest) {
		to, err := url.Parse(p.system.REST.Base)
		if err != nil {
			t.Error(err)
		}
		r.SetURL(to)
		r.SetXForwarded()
		for name := range r.Out.Header {
			if strings.HasPrefix(name, "Sec-Fetch-") {
				r.Out.Header.Del(name)
			}
		}
	}})
	p.proxy.StartTLS()
	t.Cleanup(func() {
		p.proxy.Close()
		if err := m.Shutdown(); err != nil {
			t.Error(err)
		}
	})
	file := filepath.Join(t.TempDir(), "client.secret")
	if err := os.WriteFile(file, []byte(m.ClientSecret), 0o600); err != nil {
		t.Fatal(err)
	}
	option := func(name, value string) string { return "OUTBOUND_CONSOLE_" + name + "=" + value }
	p.system = harness.StartWith(t, &harness.System{Shape: harness.AllInOne, Dir: t.TempDir(), Sync: "interval", Env: []string{
		option("PUBLIC_URL", p.proxy.URL), option("TRUSTED_PROXIES", "127.0.0.1/32"), option("OIDC_ISSUER", m.Issuer()),
		option("OIDC_CLIENT_ID", m.ClientID),
		option("OIDC_CLIENT_SECRET_FILE", file), option("OIDC_SCOPES", "openid,profile,email,groups"), option("OIDC_ROLE_CLAIM", "groups"),
		option("OIDC_ADMINS", "outbound-admins"), option("OIDC_OPERATORS", "support,desk"), option("OIDC_DEFAULT_ROLE", "none"),
		option("OIDC_LABEL", "Sign in with Acme"),
	}})
	return p
}

func (p *public) note(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.asked = append(p.asked, r.URL.Path)
		p.mu.Unlock()
		next.ServeHTTP(w, r)
	})
}

// times is how often the provider was asked for a path.
func (p *public) times(path string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, a := range p.asked {
		if a == path {
			n++
		}
	}
	return n
}

// comes has somebody whom the provider knows, with groups there, open a page of the console and choose the provider.
func (p *public) comes(t *testing.T, b *browser.Browser, path, email string, groups ...string) *browser.Page {
	t.Helper()
	p.QueueUser(&mockoidc.MockUser{Subject: email, Email: email, EmailVerified: true, Groups: groups})
	page := b.Person(t, p.proxy.URL).Page(t).TrustAll().Allow("asked another host: " + p.Issuer() + "/").Open(path)
	page.AwaitAt("/sign-in?next="+url.QueryEscape(path)).See("h1", "Sign in")
	return page.Click("a", "Sign in with Acme")
}

// TestProvider signs people in by an OpenID provider, through the proxy: with the role that their groups there have here, or with none.
func TestProvider(t *testing.T) {
	p, b := openPublic(t), browser.Start(t)
	for _, x := range []struct {
		email, role string
		groups      []string
		mayAdd      bool
	}{
		{"olga@example.com", "operator", []string{"everybody", "desk"}, true},
		{"ada@example.com", "admin", []string{"desk", "outbound-admins"}, true},
	} {
		t.Run(x.role, func(t *testing.T) {
			before := p.times(mockoidc.AuthorizationEndpoint)
			page := p.comes(t, b, "/account", x.email, x.groups...)
			page.AwaitAt("/account").See("dl.facts", x.email).See("dl.facts", "Role "+x.role).SeeNot("main", "Change password")
			if n := p.times(mockoidc.AuthorizationEndpoint) - before; n != 1 {
				t.Errorf("the browser was at the provider %d times, want once", n)
			}
			// The role acts: operators add recipients, and admins alone see the users.
			page.Open("/").See("a", "Add HTTP recipient").Allow("status of 403").Open("/settings/users")
			if x.role == "admin" {
				page.See("h2", "Users")
			} else {
				page.See("h1", "Permission denied")
			}
			page.Click("summary", x.email).Click("button", "Sign out").See(".flash", "You have signed out").See("h1",
				"Sign in").SeeNot("summary", x.email)
			page.Open("/account").AwaitAt("/sign-in?next=%2Faccount")
			noBreach(t, page)
		})
	}
	t.Run("without a role", func(t *testing.T) {
		page := p.comes(t, b, "/account", "eve@example.com", "everybody")
		page.Allow("status of 403").See("h1", "You have no role").See("main", "Ask an administrator").SeeNot("main", "eve@example.com")
		held(t, page, browser.NewAxe(t))
		page.Open("/account").AwaitAt("/sign-in?next=%2Faccount")
		noBreach(t, page)
	})
	if log := p.system.Logs(); strings.Count(log, "signed in") != 2 || strings.Count(log, "sign-in refused") != 1 ||
		strings.Contains(log, "@example.com") {
		t.Errorf("the log does not tell of two sign-ins and a refusal, without names: %s", log)
	}
}

func noBreach(t *testing.T, page *browser.Page) {
	t.Helper()
	if b := page.Breaches(); len(b) > 0 {
		t.Error(fmt.Sprint(b))
	}
}
