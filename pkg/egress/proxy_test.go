package egress_test

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/egress"
	"github.com/outbound-events/outbound/pkg/porttest"
	"github.com/outbound-events/outbound/pkg/proxytest"
)

// fixture is a receiver, reached by names that only the proxy knows.
type fixture struct {
	receiver *httptest.Server
	roots    *x509.CertPool
	seen     chan *http.Request
}

func newFixture(t *testing.T, secure bool) *fixture {
	t.Helper()
	w := &fixture{seen: make(chan *http.Request, 100)}
	w.receiver = httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { w.seen <- r }))
	if secure {
		w.receiver.StartTLS()
		w.roots = x509.NewCertPool()
		w.roots.AddCert(w.receiver.Certificate())
	} else {
		w.receiver.Start()
	}
	t.Cleanup(w.receiver.Close)
	return w
}

func (w *fixture) resolve(string) string { return w.receiver.Listener.Addr().String() }

func openProxy(t *testing.T, o egress.ProxyOptions) *egress.Proxy {
	t.Helper()
	p, err := egress.OpenProxy(o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func fileOf(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// postBy posts through a proxy with the guard of a deployment that opens nothing.
func postBy(t *testing.T, p *egress.Proxy, roots *x509.CertPool, url string, own ...string) error {
	t.Helper()
	tr := egress.NewTransport(egress.TransportOptions{Guard: guard(t, nil, own), Timeout: 5 * time.Second, MaxConns: 2, Proxy: p,
		Roots: roots})
	defer tr.CloseIdleConnections()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := tr.RoundTrip(r)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		t.Errorf("%s: answered %s", url, resp.Status)
	}
	return resp.Body.Close()
}

func TestReceiversAreReachedThroughTheProxy(t *testing.T) {
	for _, c := range []struct {
		name                        string
		secureProxy, secureReceiver bool
		user                        string
	}{
		{"http by http", false, false, ""}, {"https by http", false, true, ""}, {"http by https", true, false, ""},
		{"https by https", true, true, ""},
		{"http with a user", false, false, "me"}, {"https with a user", true, true, "me"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newFixture(t, c.secureReceiver)
			o, po := egress.ProxyOptions{User: c.user}, proxytest.Options{Resolve: w.resolve, User: c.user}
			if c.user != "" {
				po.Password, o.PasswordFile = "canary:secret", fileOf(t, "canary:secret\n")
			}
			if c.secureProxy {
				s := httptest.NewTLSServer(nil)
				po.TLS = s.TLS.Clone()
				o.CAFile = fileOf(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})))
				s.Close()
			}
			p := proxytest.Start(t, po)
			o.URL = p.URL
			url := "http://example.com/hook"
			if c.secureReceiver {
				url = "https://example.com/hook" // the name in the certificate of httptest
			}
			if err := postBy(t, openProxy(t, o), w.roots, url); err != nil {
				t.Fatal(err)
			}
			r := <-w.seen
			if r.Host != "example.com" || r.URL.Path != "/hook" || r.Header.Get("Proxy-Authorization") != "" {
				t.Errorf("the receiver saw %s %s, %v", r.Host, r.URL, r.Header)
			}
			if n := len(p.Targets()); n != 1 {
				t.Errorf("the proxy was asked for %q", p.Targets())
			}
		})
	}
}

func TestFaultsOfTheProxyAreItsOwn(t *testing.T) {
	w := newFixture(t, true)
	closed := porttest.Address(t)
	wanting := proxytest.Start(t, proxytest.Options{Resolve: w.resolve, User: "me", Password: "canary"})
	refusing := proxytest.Start(t, proxytest.Options{Refuse: http.StatusForbidden})
	lost := proxytest.Start(t, proxytest.Options{Resolve: func(string) string { return closed }})
	for _, c := range []struct{ name, proxy, words string }{
		{"away", "http://" + closed, "connection refused"}, {"wants a password", wanting.URL, "HTTP 407"}, {"refuses", refusing.URL, "HTTP 403"},
		{"does not reach the receiver", lost.URL, "HTTP 502"},
		{"is no proxy", strings.Replace(w.receiver.URL, "https", "http", 1), "outbound proxy"},
		{"has a name that is unknown", "http://proxy.invalid:3128", "look up"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := postBy(t, openProxy(t, egress.ProxyOptions{URL: c.proxy}), w.roots, "https://example.com/hook")
			var dial *egress.DialError
			if !errors.As(err, &dial) || dial.Stage != egress.StageProxy || !strings.Contains(err.Error(), c.words) {
				t.Errorf("got %v, want a fault of the proxy with %q", err, c.words)
			}
		})
	}
	p := proxytest.Start(t, proxytest.Options{Resolve: w.resolve})
	var dial *egress.DialError
	if err := postBy(t, openProxy(t, egress.ProxyOptions{URL: p.URL}), nil, "https://example.com/"); !errors.As(err, &dial) ||
		dial.Stage != egress.StageTLS {
		t.Errorf("a receiver that is not trusted: %v, want a fault of TLS with the receiver", err)
	}
}

// TestNoForbiddenTargetIsAskedOfTheProxy has a proxy that would connect to anything.
func TestNoForbiddenTargetIsAskedOfTheProxy(t *testing.T) {
	w := newFixture(t, false)
	p := proxytest.Start(t, proxytest.Options{Resolve: w.resolve})
	proxy := openProxy(t, egress.ProxyOptions{URL: p.URL})
	for _, host := range []string{
		"127.0.0.1", "10.1.2.3", "169.254.169.254", "0.0.0.0", "[::1]", "[::ffff:10.0.0.1]", "[fd00::1]", "[64:ff9b::a00:1]", "localhost",
		"LOCALHOST.",
		"api.localhost", "nats:4222", "NATS.:4222", "8.8.8.8:4222", p.Address,
	} {
		for _, scheme := range []string{"http://", "https://"} {
			forbidden(t, postBy(t, proxy, nil, scheme+host+"/", "nats:4222", "8.8.8.8:4222"))
		}
	}
	if got := p.Targets(); len(got) != 0 || p.Connections.Load() != 0 {
		t.Errorf("the proxy was asked for %q, over %d connections", got, p.Connections.Load())
	}
}

func TestProxyOptionsAreChecked(t *testing.T) {
	for _, o := range []egress.ProxyOptions{
		{URL: "proxy:3128"}, {URL: "socks5://proxy:1080"}, {URL: "http://proxy"}, {URL: "http://me:canary@proxy:3128"},
		{URL: "http://proxy:3128/path"},
		{User: "me"}, {URL: "http://proxy:3128", PasswordFile: "x"},
	} {
		if err := o.Validate(); err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%+v: %v", o, err)
		}
	}
	if p, err := egress.OpenProxy(egress.ProxyOptions{}); p != nil || err != nil {
		t.Errorf("no proxy: %v, %v", p, err)
	}
	if _, err := egress.OpenProxy(egress.ProxyOptions{URL: "http://proxy:3128", User: "me", PasswordFile: "/nowhere"}); err == nil {
		t.Error("a password that can't be read is left out")
	}
}
