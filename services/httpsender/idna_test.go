package httpsender_test

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"sync"
	"testing"

	"github.com/outbound-events/outbound/pkg/dnstest"
	"github.com/outbound-events/outbound/pkg/proxytest"
	"github.com/outbound-events/outbound/services/httpsender"
)

// notebook keeps what is noted of some thing.
func notebook() (seen map[string][]string, note func(what, value string)) {
	var mu sync.Mutex
	seen = map[string][]string{}
	return seen, func(what, value string) {
		mu.Lock()
		defer mu.Unlock()
		seen[what] = append(seen[what], value)
	}
}

// TestInternationalHostsHaveOneFormOnTheWire sends to a host in many spellings: DNS, TLS, the Host header, the certificate and the proxy
// see one name.
func TestInternationalHostsHaveOneFormOnTheWire(t *testing.T) {
	const name = "xn--bcher-kva.example"
	ours := newAuthority(t, "our root")
	seen, note := notebook()
	config := &tls.Config{
		Certificates: []tls.Certificate{ours.issue(t, func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = nil, []string{name} })},
		GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
			note("SNI", h.ServerName)
			return nil, nil
		},
	}
	r := newReceiver(t, config, func(w http.ResponseWriter, q *http.Request) {
		note("Host", q.Host)
		w.Header().Set("Location", "https://BÜCHER.example/x")
		if q.URL.Path == "/away" {
			w.WriteHeader(http.StatusFound)
		}
	})
	at, err := url.Parse(r.URL)
	if err != nil {
		t.Fatal(err)
	}
	resolver := dnstest.Start(t, func(asked string) []netip.Addr {
		note("DNS", asked)
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}
	})
	proxy := proxytest.Start(t, proxytest.Options{Resolve: func(string) string { return at.Host }})
	o := httpsender.DefaultOptions()
	o.AllowEgress = []string{"127.0.0.0/8"}
	proxied := o
	proxied.Proxy.URL = proxy.URL
	spellings := []string{"bücher.example", "BÜCHER.Example", name, "XN--BCHER-KVA.example", "bu\u0308cher.example", "bücher.example."}
	for _, s := range spellings {
		for _, sender := range []struct {
			name string
			o    httpsender.Options
		}{{"direct", o}, {"by proxy", proxied}} {
			d := bulky(deliveryTo("https://"+s+":"+at.Port()+"/"), ours.pem)
			if got := httpsender.NewSenderWith(t, sender.o, resolver).Send(t.Context(), d); got.Status != 200 {
				t.Errorf("%s, %s: status %d, %s", s, sender.name, got.Status, got.Detail)
			}
		}
	}
	d := bulky(deliveryTo("https://bücher.example:"+at.Port()+"/away"), ours.pem)
	if got := httpsender.NewSenderWith(t, o, resolver).Send(t.Context(), d); got.Detail != "Location: https://"+name {
		t.Errorf("the redirect is told as %q", got.Detail)
	}
	for what, want := range map[string]string{"DNS": name, "SNI": name, "Host": name + ":" + at.Port()} {
		if got := slices.Compact(slices.Sorted(slices.Values(seen[what]))); len(got) != 1 || got[0] != want {
			t.Errorf("%s has %q, want %q alone", what, got, want)
		}
	}
	if got := slices.Compact(slices.Sorted(slices.Values(proxy.Targets()))); len(got) != 1 || got[0] != name+":"+at.Port() {
		t.Errorf("the proxy was asked for %q", got)
	}
	if len(seen["Host"]) != 2*len(spellings)+1 {
		t.Errorf("%d requests for %d", len(seen["Host"]), 2*len(spellings)+1)
	}
}
