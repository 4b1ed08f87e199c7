package egress_test

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/dnstest"
	"github.com/outbound-events/outbound/pkg/egress"
	"github.com/outbound-events/outbound/pkg/porttest"
	"github.com/outbound-events/outbound/pkg/waittest"
)

func TestMain(m *testing.M) { waittest.VerifyTestMain(m) }

// listen counts connections to loopback.
func listen(t *testing.T, network, address string) (port string, connections *atomic.Int64) {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	connections = new(atomic.Int64)
	s := &httptest.Server{Listener: l, Config: &http.Server{
		Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}),
		ConnState: func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				connections.Add(1)
			}
		},
	}}
	s.Start()
	t.Cleanup(s.Close)
	_, port, err = net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port, connections
}

func post(t *testing.T, g *egress.Guard, resolver *net.Resolver, url string) error {
	t.Helper()
	tr := egress.NewTransport(egress.TransportOptions{Guard: g, Timeout: 5 * time.Second, MaxConns: 2, Resolver: resolver})
	defer tr.CloseIdleConnections()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := tr.RoundTrip(r)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

func forbidden(t *testing.T, err error) {
	t.Helper()
	var dial *egress.DialError
	var f *egress.ForbiddenError
	if !errors.As(err, &dial) || dial.Stage != egress.StageForbidden || !errors.As(err, &f) {
		t.Errorf("got %v, want the guard's refusal", err)
	}
}

func TestForbiddenAddressesAreNeverConnected(t *testing.T) {
	port, connections := listen(t, "tcp", ":0") // every address of this machine
	g := guard(t, nil, nil)
	for _, host := range []string{
		"127.0.0.1", "127.9.9.9", "0.0.0.0", "[::]", "[::1]", "[::ffff:127.0.0.1]", "[::127.0.0.1]", "localhost", "[64:ff9b::7f00:1]",
		"[2002:7f00:1::]",
	} {
		for _, scheme := range []string{"http://", "https://"} {
			forbidden(t, post(t, g, nil, scheme+host+":"+port+"/"))
		}
	}
	if n := connections.Load(); n != 0 {
		t.Errorf("%d connections were made", n)
	}
	if err := post(t, guard(t, []string{"127.0.0.0/8"}, nil), nil, "http://127.0.0.1:"+port+"/"); err != nil {
		t.Errorf("an opened address: %v", err)
	}
	if n := connections.Load(); n != 1 {
		t.Errorf("%d connections to the opened address", n)
	}
}

func TestOwnServicesAreNeverConnected(t *testing.T) {
	port, connections := listen(t, "tcp4", "127.0.0.1:0")
	for _, own := range []string{"127.0.0.1:" + port, ":" + port, "localhost:" + port} {
		forbidden(t, post(t, guard(t, []string{"127.0.0.0/8"}, []string{own}), nil, "http://127.0.0.1:"+port+"/"))
	}
	if n := connections.Load(); n != 0 {
		t.Errorf("%d connections were made", n)
	}
}

// TestRebindingDoesNotLeadInside has a name that is public when it is looked up first and loopback from then on.
func TestRebindingDoesNotLeadInside(t *testing.T) {
	port, connections := listen(t, "tcp4", "127.0.0.1:0")
	var asked atomic.Int64
	resolver := dnstest.Start(t, func(string) []netip.Addr {
		if asked.Add(1) == 1 {
			return []netip.Addr{netip.MustParseAddr("8.8.8.8")}
		}
		return []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("169.254.169.254")}
	})
	g := guard(t, nil, nil)
	if found, err := resolver.LookupNetIP(t.Context(), "ip4", "rebind.example."); err != nil || g.CheckAddr(found[0]) != nil {
		t.Fatalf("looked up %v, %v: want a public address first", found, err)
	}
	forbidden(t, post(t, g, resolver, "http://rebind.example:"+port+"/"))
	if n := connections.Load(); n != 0 {
		t.Errorf("%d connections were made", n)
	}
}

func TestUnknownNamesAndClosedPortsAreToldApart(t *testing.T) {
	resolver := dnstest.Start(t, dnstest.Fixed())
	closed := porttest.Address(t)
	g := guard(t, []string{"127.0.0.0/8"}, nil)
	for url, want := range map[string]egress.Stage{"http://nobody.example/": egress.StageLookup, "http://" + closed +
		"/": egress.StageConnect} {
		var dial *egress.DialError
		if err := post(t, g, resolver, url); !errors.As(err, &dial) || dial.Stage != want {
			t.Errorf("%s: %v, want stage %d", url, err, want)
		}
	}
}
