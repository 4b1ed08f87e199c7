package httpsender_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/dnstest"
	"github.com/outbound-events/outbound/pkg/egress"
	"github.com/outbound-events/outbound/pkg/proxytest"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/services/httpsender"
)

// everywhere listens on every address of this machine and counts connections.
func everywhere(t *testing.T) (port string, connections *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", ":0")
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

// forbiddenHosts are ways to write this machine, its network and clouds' metadata services: addresses, spellings that some resolvers
// take for one, and names that lead there.
func forbiddenHosts() []string {
	return []string{
		"127.0.0.1", "127.1.2.3", "127.255.255.254", "0.0.0.0", "[::]", "[::1]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]",
		"[::127.0.0.1]", "[::ffff:0:127.0.0.1]", "[64:ff9b::7f00:1]", "[64:ff9b:1::7f00:1]", "[2002:7f00:1::]", "[2001::80ff:fffe]",
		"10.0.0.1", "172.16.0.1", "192.168.0.1", "100.64.0.1", "169.254.169.254", "169.254.170.2", "168.63.129.16", "100.100.100.200",
		"192.0.0.192", "198.18.0.1", "203.0.113.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "[fc00::1]", "[fd00:ec2::254]", "[fe80::1]",
		"[fec0::1]", "[ff02::1]", "[2001:db8::1]", "[3fff::1]", "[4000::1]", "[::ffff:169.254.169.254]", "[64:ff9b::a9fe:a9fe]",
		// Not addresses to us, and refused as URLs.
		"127.1", "127.0.1", "0", "2130706433", "0x7f000001", "0x7f.0.0.1", "017700000001", "0177.0.0.1", "127.0.0.1.", "127.0.0.01", "[::1%25lo]",
		"[fe80::1%25eth0]", "me@127.0.0.1", "example.com:80@127.0.0.1", "１２７.0.0.1", "127。0。0。1",
		// Names.
		"localhost", "LOCALHOST", "localhost.", "loopback.example", "private.example", "metadata.example", "mapped.example", "six.example",
		"many.example",
	}
}

func leadsInside(name string) []netip.Addr {
	at := func(all ...string) (out []netip.Addr) {
		for _, a := range all {
			out = append(out, netip.MustParseAddr(a))
		}
		return out
	}
	switch name {
	case "private.example":
		return at("10.0.0.1", "192.168.1.1")
	case "metadata.example":
		return at("169.254.169.254")
	case "six.example":
		return at("::1", "fd00:ec2::254")
	case "many.example":
		var many []netip.Addr
		for i := range 20 {
			many = append(many, netip.AddrFrom4([4]byte{127, 0, 0, byte(i + 1)}))
		}
		return many
	case "mapped.example":
		return at("::ffff:127.0.0.1", "127.0.0.1")
	default:
		return at("127.0.0.1")
	}
}

// TestNoWayOfWritingAnAddressLeadsInside holds each URL against saving, the foresight at saving, and the sender itself, with and
// without what was saved being allowed.
func TestNoWayOfWritingAnAddressLeadsInside(t *testing.T) {
	port, connections := everywhere(t)
	resolver := dnstest.Start(t, leadsInside)
	guard, err := egress.NewGuard(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	o := httpsender.DefaultOptions()
	o.URLPolicy = "any"
	sender := httpsender.NewSenderWith(t, o, resolver)
	urls := 0
	for i, host := range forbiddenHosts() {
		for _, scheme := range []string{"http", "https"} {
			url := fmt.Sprintf("%s://%s:%s/hook?token=canary", scheme, host, port)
			urls++
			if recipient.CheckURL(url, "any") == nil && guard.Precheck(t.Context(), resolver, url) == nil {
				t.Errorf("%s is saved without a warning", url)
			}
			out, v := attempt(t, sender, deliveryTo(url, func(r *recipient.Recipient) { r.ID = fmt.Sprintf("%s-%d", scheme, i) }))
			if out.Fault != delivery.FaultEgress && out.Fault != delivery.FaultDNS || v.Kind != delivery.Retry ||
				strings.Contains(v.Detail, "canary") {
				t.Errorf("%s: %+v, %+v", url, out, v)
			}
		}
	}
	t.Logf("%d URLs made %d connections", urls, connections.Load())
	if n := connections.Load(); n != 0 || urls < 99 {
		t.Errorf("%d URLs made %d connections", urls, n)
	}
}

// TestNamesThatChangeTheirMindDoNotLeadInside has a name that is public until its recipient is saved, and inside from then on.
func TestNamesThatChangeTheirMindDoNotLeadInside(t *testing.T) {
	port, connections := everywhere(t)
	var saved atomic.Bool // not a count of questions: a resolver may ask twice
	resolver := dnstest.Start(t, func(string) []netip.Addr {
		if !saved.Load() {
			return []netip.Addr{netip.MustParseAddr("8.8.8.8")}
		}
		return []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1")}
	})
	guard, err := egress.NewGuard(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	url := "http://rebind.example:" + port + "/"
	if err := guard.Precheck(t.Context(), resolver, url); err != nil {
		t.Fatalf("at saving: %v, want a public address", err)
	}
	saved.Store(true)
	o := httpsender.DefaultOptions()
	o.URLPolicy = "any"
	sender := httpsender.NewSenderWith(t, o, resolver)
	for range 3 {
		if out, v := attempt(t, sender, deliveryTo(url)); out.Fault != delivery.FaultEgress || v.Reason != reasons.Egress {
			t.Errorf("%+v, %+v, want the guard's refusal", out, v)
		}
	}
	if n := connections.Load(); n != 0 {
		t.Errorf("%d connections were made", n)
	}
}

func TestFaultsOfTheProxyHaveTheirOwnReason(t *testing.T) {
	r := newReceiver(t, nil, func(http.ResponseWriter, *http.Request) {})
	to := func(string) string { return r.Listener.Addr().String() }
	for _, c := range []struct {
		name, url string
		o         proxytest.Options
		reason    reasons.Reason
	}{
		{"goes through", "http://receiver.example/hook", proxytest.Options{Resolve: to}, reasons.OK},
		{"wants a password", "http://receiver.example/hook", proxytest.Options{Resolve: to, User: "me"}, reasons.Proxy},
		{"wants a password for a tunnel", "https://receiver.example/hook", proxytest.Options{Resolve: to, User: "me"}, reasons.Proxy},
		{"refuses a tunnel", "https://receiver.example/hook", proxytest.Options{Refuse: http.StatusForbidden}, reasons.Proxy},
		{"a receiver without TLS", "https://receiver.example/hook", proxytest.Options{Resolve: to}, reasons.TLS},
		{"a forbidden address", "http://127.0.0.1/hook", proxytest.Options{Resolve: to}, reasons.Egress},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := proxytest.Start(t, c.o)
			o := httpsender.DefaultOptions()
			o.URLPolicy, o.Proxy.URL = "any", p.URL
			if _, v := attempt(t, httpsender.NewSender(t, o), deliveryTo(c.url)); v.Reason != c.reason {
				t.Errorf("got %+v, want %s", v, c.reason)
			}
			if forbidden := c.reason == reasons.Egress; forbidden != (len(p.Targets()) == 0) {
				t.Errorf("the proxy was asked for %q", p.Targets())
			}
		})
	}
}
