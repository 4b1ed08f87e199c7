package console_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/throttle"
	"github.com/outbound-events/outbound/services/console"
	"github.com/outbound-events/outbound/services/console/internal/consoletest"
)

// proxied is a console behind a TLS-terminating proxy.
type proxied struct {
	*consoletest.System
	t     *testing.T
	proxy *httptest.Server
}

// behindProxy starts the proxy and the console. The proxy appends the peer to X-Forwarded-For; host reports whether it preserves Host.
func behindProxy(t *testing.T, host bool, adapt func(o *console.Options, public string)) *proxied {
	t.Helper()
	p := &proxied{t: t}
	p.proxy = httptest.NewUnstartedServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		to, err := url.Parse(p.URL)
		if err != nil {
			t.Error(err)
		}
		r.SetURL(to)
		if host {
			r.Out.Host = r.In.Host
		}
		r.Out.Header["X-Forwarded-For"] = r.In.Header["X-Forwarded-For"]
		r.SetXForwarded()
	}})
	p.proxy.StartTLS()
	t.Cleanup(p.proxy.Close)
	p.System = consoletest.Start(t, consoletest.Options{
		Options: func(o *console.Options) { adapt(o, p.proxy.URL) },
		Deps:    func(d *console.Deps) { d.Limiter = &timeless{taken: map[string]int{}} },
	})
	return p
}

// timeless is a limiter with a stopped clock, so that no turn is refilled on a slow machine.
type timeless struct {
	mu    sync.Mutex
	taken map[string]int
}

// Take implements throttle.Limiter. The burst is a tenth of the turns.
func (l *timeless) Take(_ context.Context, key string, limit throttle.Limit) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.taken[key] >= limit.Turns/10 {
		return limit.Period / time.Duration(limit.Turns)
	}
	l.taken[key]++
	return 0
}

// from returns a browser with a source address. It keeps Secure cookies for HTTPS only.
func (p *proxied) from(address string) *http.Client {
	p.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		p.t.Fatal(err)
	}
	transport := p.proxy.Client().Transport.(*http.Transport).Clone()
	transport.DialContext = (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}).DialContext
	p.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Jar: jar, Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// ask sends a request through the proxy, with headers in pairs.
func (p *proxied) ask(c *http.Client, method, path string, form url.Values, header ...string) (*http.Response, string) {
	p.t.Helper()
	q, err := http.NewRequestWithContext(context.Background(), method, p.proxy.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		p.t.Fatal(err)
	}
	q.Header.Set("Accept", "text/html")
	q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i < len(header); i += 2 {
		q.Header.Set(header[i], header[i+1])
	}
	resp, err := c.Do(q)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return resp, string(body)
}

// signIn signs in with a password and returns the status.
func (p *proxied) signIn(c *http.Client, name, password string, header ...string) int {
	p.t.Helper()
	resp, _ := p.ask(c, http.MethodPost, "/sign-in", url.Values{"name": {name}, "password": {password}},
		append([]string{"Sec-Fetch-Site", "same-origin"}, header...)...)
	return resp.StatusCode
}

// TestSignInAttemptsBehindAProxyAreCountedPerClient makes attempts from one address until it is throttled, with a different X-Forwarded-For
// each time. With a trusted proxy no other address is throttled; otherwise all are.
func TestSignInAttemptsBehindAProxyAreCountedPerClient(t *testing.T) {
	const attacker, other = "127.0.0.66", "127.0.0.77"
	for name, x := range map[string]struct {
		trusted []string
		// looked is how many attempts are checked, others the status for another address.
		looked, others int
		logged         string
	}{
		"the proxy is trusted":                   {[]string{"127.0.0.1/32", "10.0.0.0/8"}, 30, http.StatusSeeOther, "client=" + attacker},
		"nobody is trusted":                      {nil, 30, http.StatusTooManyRequests, "client=127.0.0.1"},
		"another proxy is trusted than there is": {[]string{"10.0.0.0/8"}, 30, http.StatusTooManyRequests, "client=127.0.0.1"},
		// A trusted peer sets the client address.
		"the attacker is trusted, too": {[]string{"127.0.0.1/32", attacker + "/32"}, 60, http.StatusSeeOther, "client=198.51.100."},
	} {
		t.Run(name, func(t *testing.T) {
			p := behindProxy(t, true, func(o *console.Options, _ string) { o.TrustedProxies = x.trusted })
			c := p.from(attacker)
			answers := map[int]int{}
			for i := range 60 {
				answers[p.signIn(c, fmt.Sprintf("nobody-%d", i), "wrong", "X-Forwarded-For", fmt.Sprintf("198.51.100.%d", i%7))]++
			}
			if answers[http.StatusUnauthorized] != x.looked || answers[http.StatusTooManyRequests] != 60-x.looked {
				t.Errorf("%v, want %d attempts to be checked and the rest refused", answers, x.looked)
			}
			if got := p.signIn(p.from(other), "viewer", consoletest.Password); got != x.others {
				t.Errorf("another address is answered %d, want %d", got, x.others)
			}
			if !strings.Contains(p.Log.String(), x.logged) || strings.Contains(p.Log.String(), "nobody-1") {
				t.Errorf("the log has no %q, or names that were tried: %s", x.logged, p.Log)
			}
		})
	}
}

// TestHSTSIsSentWhereClientsUseTLS asks pages, the API and files, through a proxy with TLS and directly.
func TestHSTSIsSentWhereClientsUseTLS(t *testing.T) {
	for name, x := range map[string]struct {
		adapt   func(o *console.Options, public string)
		proxied bool
	}{
		"the proxy is trusted":  {func(o *console.Options, _ string) { o.TrustedProxies = []string{"127.0.0.1/32"} }, true},
		"publicUrl is https":    {func(o *console.Options, public string) { o.PublicURL = public }, true},
		"nothing is configured": {func(*console.Options, string) {}, false},
	} {
		t.Run(name, func(t *testing.T) {
			p := behindProxy(t, true, x.adapt)
			for _, path := range []string{"/sign-in", "/v1/recipients", "/healthz", "/openapi.json", "/none"} {
				resp, _ := p.ask(p.from("127.0.0.1"), http.MethodGet, path, nil)
				if got := resp.Header.Get("Strict-Transport-Security"); (got == "max-age=31536000") != x.proxied {
					t.Errorf("%s: %q", path, got)
				}
			}
		})
	}
}

// TestSignInWorksBehindATLSProxy signs in, makes a change and signs out, through a proxy that preserves Host or not.
func TestSignInWorksBehindATLSProxy(t *testing.T) {
	for name, host := range map[string]bool{"Host is passed on": true, "Host is changed, and publicUrl is set": false} {
		t.Run(name, func(t *testing.T) {
			p := behindProxy(t, host, func(o *console.Options, public string) {
				if !host {
					o.PublicURL = public + "/"
				}
			})
			c := p.from("127.0.0.1")
			// An old browser sends Origin but no Sec-Fetch-Site.
			own := []string{"Origin", p.proxy.URL}
			resp, body := p.ask(c, http.MethodPost, "/sign-in",
				url.Values{"name": {"operator"}, "password": {consoletest.Password}, "next": {"/account"}}, own...)
			if resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != "/account" {
				t.Fatalf("%d to %q: %s", resp.StatusCode, resp.Header.Get("Location"), body)
			}
			cookie := resp.Header.Get("Set-Cookie")
			for _, want := range []string{"__Host-outbound=", "; Path=/", "; Secure"} {
				if !strings.Contains(cookie, want) || strings.Contains(cookie, "Domain") {
					t.Errorf("browsers drop the cookie %q: it lacks %q", cookie, want)
				}
			}
			if resp, body := p.ask(c, http.MethodGet, "/account", nil); resp.StatusCode != http.StatusOK || !strings.Contains(body, "The operator") {
				t.Errorf("%d %s", resp.StatusCode, body)
			}
			for _, foreign := range [][]string{
				{"Origin", "https://evil.example"}, {"Origin", "null"}, {"Origin", p.proxy.URL + ".evil.example"},
				{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}, {"Sec-Fetch-Site", "same-site", "Origin", "https://a.example.com"},
			} {
				if resp, _ := p.ask(c, http.MethodPost, "/sign-out", url.Values{}, foreign...); resp.StatusCode != http.StatusForbidden {
					t.Errorf("a form from %v is answered %d", foreign, resp.StatusCode)
				}
			}
			if resp, _ := p.ask(c, http.MethodPost, "/sign-out", url.Values{}, own...); resp.StatusCode != http.StatusSeeOther {
				t.Errorf("signing out is answered %d", resp.StatusCode)
			}
			if resp, _ := p.ask(c, http.MethodGet, "/account", nil); resp.StatusCode != http.StatusSeeOther {
				t.Errorf("signed out, the account is answered %d", resp.StatusCode)
			}
		})
	}
}

func TestTrustedProxiesAreChecked(t *testing.T) {
	o := console.DefaultOptions()
	o.TrustedProxies = []string{"10.0.0.0/8", "10.1.2.3", "fd00:1::/64", "0.0.0.0/0"}
	err := o.Validate()
	for _, want := range []string{"trustedProxies[1]: \"10.1.2.3\" is not a network", "e.g. 10.1.2.3/32",
		"trustedProxies[3]: \"0.0.0.0/0\" contains all addresses"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
	o.TrustedProxies = o.TrustedProxies[:1]
	if err := o.Validate(); err != nil {
		t.Error(err)
	}
}
