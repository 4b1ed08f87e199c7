package egress_test

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/dnstest"
	"github.com/outbound-events/outbound/pkg/egress"
	"github.com/outbound-events/outbound/pkg/porttest"
	"github.com/outbound-events/outbound/pkg/proxytest"
)

func walked(t *testing.T, raw string, o egress.TransportOptions) egress.Report {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	if o.Guard == nil {
		o.Guard = guard(t, []string{"127.0.0.0/8"}, nil)
	}
	o.Timeout = 5 * time.Second
	var r egress.Report
	egress.Probe(t.Context(), o, u, &r)
	return r
}

// last checks how far a walk came, and gives its last step.
func last(t *testing.T, r egress.Report, want string, ok bool) egress.Step {
	t.Helper()
	if len(r.Steps) == 0 {
		t.Fatal("no step was taken")
	}
	s := r.Steps[len(r.Steps)-1]
	if s.Name != want || s.OK != ok || r.Healthy() != ok {
		t.Errorf("the walk ended with %+v, want %s, %v", s, want, ok)
	}
	if s.Detail == "" || !ok && s.Remedy == "" {
		t.Errorf("step %+v says too little", s)
	}
	return s
}

func TestWalkNamesTheStepThatFails(t *testing.T) {
	secure := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a request was made") }))
	defer secure.Close()
	plain := httptest.NewServer(secure.Config.Handler)
	defer plain.Close()
	roots := x509.NewCertPool()
	roots.AddCert(secure.Certificate())
	_, port, err := net.SplitHostPort(secure.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	here := dnstest.Start(t, dnstest.Fixed("127.0.0.1"))
	for _, c := range []struct {
		name, url string
		o         egress.TransportOptions
		step      string
		ok        bool
		words     string
	}{
		{"all is well", "https://example.com:" + port + "/x?token=canary", egress.TransportOptions{Roots: roots, Resolver: here},
			egress.StepTLS, true, "TLS 1.3"},
		{"plain http", plain.URL, egress.TransportOptions{}, egress.StepTLS, true, "unencrypted"},
		{"unknown name", "https://example.com/", egress.TransportOptions{Resolver: dnstest.Start(t, dnstest.Fixed())}, egress.StepDNS, false,
			"no such host"},
		{"forbidden", secure.URL, egress.TransportOptions{Guard: guard(t, nil, nil)}, egress.StepEgress, false, "loopback"},
		{"own service", secure.URL, egress.TransportOptions{Guard: guard(t, []string{"127.0.0.0/8"}, []string{"127.0.0.1:" + port})},
			egress.StepEgress, false, "an Outbound service"},
		{"nobody listens", "https://" + porttest.Address(t), egress.TransportOptions{}, egress.StepTCP, false, "connection refused"},
		{"unknown root", secure.URL, egress.TransportOptions{}, egress.StepTLS, false, "unknown authority"},
		{"another name", "https://other.example:" + port, egress.TransportOptions{Roots: roots, Resolver: here}, egress.StepTLS, false,
			"not for other.example"},
		{"no TLS", strings.Replace(plain.URL, "http", "https", 1), egress.TransportOptions{}, egress.StepTLS, false, "does not speak TLS"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := walked(t, c.url, c.o)
			if s := last(t, r, c.step, c.ok); !strings.Contains(s.Detail, c.words) || strings.Contains(s.Detail, "canary") {
				t.Errorf("said %q, want words like %q", s.Detail, c.words)
			}
			if presented := strings.Contains(c.words, "TLS 1.3") || c.name == "unknown root" ||
				c.name == "another name"; presented != (len(r.Chain) > 0) {
				t.Errorf("showed a chain of %d certificates", len(r.Chain))
			}
		})
	}
}

// TestWalkOffersTheRootThatWouldHelp pins what it offers and walks again.
func TestWalkOffersTheRootThatWouldHelp(t *testing.T) {
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	r := walked(t, s.URL, egress.TransportOptions{})
	last(t, r, egress.StepTLS, false)
	if !strings.HasPrefix(r.RootToPin, "-----BEGIN CERTIFICATE-----") {
		t.Fatalf("offered %q", r.RootToPin)
	}
	roots, err := egress.ParseRoots(r.RootToPin)
	if err != nil {
		t.Fatal(err)
	}
	r = walked(t, s.URL, egress.TransportOptions{Roots: roots})
	last(t, r, egress.StepTLS, true)
	if r.RootToPin != "" {
		t.Error("a root is offered although it is trusted")
	}
	// The certificate does not hold for this name, so that pinning it would not help.
	here := dnstest.Start(t, dnstest.Fixed("127.0.0.1"))
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	if r := walked(t, "https://other.example:"+port, egress.TransportOptions{Resolver: here}); r.RootToPin != "" {
		t.Error("a root is offered that would not help")
	}
}

func TestWalkGoesThroughTheProxy(t *testing.T) {
	w := newFixture(t, true)
	p := proxytest.Start(t, proxytest.Options{Resolve: w.resolve})
	o := egress.TransportOptions{Guard: guard(t, nil, nil), Proxy: openProxy(t, egress.ProxyOptions{URL: p.URL}), Roots: w.roots}
	last(t, walked(t, "https://example.com/", o), egress.StepTLS, true)
	last(t, walked(t, "http://example.com/", o), egress.StepTLS, true)
	last(t, walked(t, "https://10.0.0.1/", o), egress.StepEgress, false)
	refusing := proxytest.Start(t, proxytest.Options{Refuse: http.StatusForbidden})
	o.Proxy = openProxy(t, egress.ProxyOptions{URL: refusing.URL})
	if s := last(t, walked(t, "https://example.com/", o), egress.StepTCP, false); !strings.Contains(s.Detail, "outbound proxy") ||
		!strings.Contains(s.Remedy, "proxy.url") {
		t.Errorf("a refusal of the proxy reads %+v", s)
	}
}

func TestPrecheckFindsFaults(t *testing.T) {
	g := guard(t, []string{"10.0.0.0/8"}, nil)
	for _, c := range []struct {
		url   string
		has   []string
		stage egress.Stage // 0: none
	}{
		{"https://a.example/", []string{"8.8.8.8"}, 0},
		{"https://a.example/", []string{"10.0.0.1"}, 0},
		{"https://a.example/", []string{"127.0.0.1", "8.8.8.8"}, 0},
		{"https://a.example/", []string{"127.0.0.1", "169.254.169.254"}, egress.StageForbidden},
		{"https://a.example/", []string{"::1"}, egress.StageForbidden},
		{"https://a.example/", nil, egress.StageLookup},
		{"https://192.168.0.1:8443/", nil, egress.StageForbidden},
		{"https://8.8.8.8/", nil, 0},
		{"https://[::ffff:127.0.0.1]/", []string{"8.8.8.8"}, egress.StageForbidden},
	} {
		err := g.Precheck(t.Context(), dnstest.Start(t, dnstest.Fixed(c.has...)), c.url)
		var dial *egress.DialError
		if c.stage == 0 && err != nil || c.stage != 0 && (!errors.As(err, &dial) || dial.Stage != c.stage) {
			t.Errorf("%s at %v: %v", c.url, c.has, err)
		}
	}
	slow := make(chan struct{})
	resolver := dnstest.Start(t, func(string) []netip.Addr { <-slow; return nil })
	defer close(slow)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	var dial *egress.DialError
	if err := g.Precheck(ctx, resolver, "https://a.example/"); !errors.As(err, &dial) || dial.Stage != egress.StageLookup {
		t.Errorf("a slow name server: %v", err)
	}
}
