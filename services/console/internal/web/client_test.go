package web_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/outbound-events/outbound/services/console/internal/web"
)

func TestClientIsFoundBehindTrustedProxiesOnly(t *testing.T) {
	trusted, faults := web.ParseProxies([]string{"10.0.0.0/8", "fd00:1::/64", "192.0.2.7/32"})
	for _, err := range faults {
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, x := range map[string]struct {
		peer    string
		said    []string
		trusted web.Proxies
		want    string
	}{
		"nobody is trusted":              {"10.0.0.1:5000", []string{"203.0.113.9"}, nil, "10.0.0.1"},
		"the peer is no proxy":           {"198.51.100.4:5000", []string{"203.0.113.9"}, trusted, "198.51.100.4"},
		"a proxy that says nothing":      {"10.0.0.1:5000", nil, trusted, "10.0.0.1"},
		"a proxy":                        {"10.0.0.1:5000", []string{"203.0.113.9"}, trusted, "203.0.113.9"},
		"what the client wrote itself":   {"10.0.0.1:5000", []string{"1.2.3.4, 10.9.9.9, 203.0.113.9"}, trusted, "203.0.113.9"},
		"a row of proxies":               {"10.0.0.1:5000", []string{"1.2.3.4, 203.0.113.9, 192.0.2.7,10.3.3.3"}, trusted, "203.0.113.9"},
		"two lines":                      {"10.0.0.1:5000", []string{"1.2.3.4", "203.0.113.9, 10.3.3.3"}, trusted, "203.0.113.9"},
		"all are trusted":                {"10.0.0.1:5000", []string{"10.7.7.7, 10.3.3.3"}, trusted, "10.7.7.7"},
		"IPv6":                           {"[fd00:1::5]:5000", []string{"2001:db8::9"}, trusted, "2001:db8::9"},
		"a proxy that listens on both":   {"[::ffff:10.0.0.1]:5000", []string{"::ffff:203.0.113.9"}, trusted, "203.0.113.9"},
		"ports are left out":             {"10.0.0.1:5000", []string{"203.0.113.9:4711"}, trusted, "203.0.113.9"},
		"ports of IPv6 are left out":     {"10.0.0.1:5000", []string{"[2001:db8::9]:4711"}, trusted, "2001:db8::9"},
		"no address":                     {"10.0.0.1:5000", []string{"unknown"}, trusted, "10.0.0.1"},
		"no address behind proxies":      {"10.0.0.1:5000", []string{"203.0.113.9, nonsense, 10.3.3.3"}, trusted, "10.0.0.1"},
		"nothing between two commas":     {"10.0.0.1:5000", []string{"203.0.113.9,,10.3.3.3"}, trusted, "10.0.0.1"},
		"an empty line":                  {"10.0.0.1:5000", []string{""}, trusted, "10.0.0.1"},
		"nonsense that nobody asks for":  {"10.0.0.1:5000", []string{"<script>, 203.0.113.9"}, trusted, "203.0.113.9"},
		"a very long list of the client": {"10.0.0.1:5000", []string{strings.Repeat("1.2.3.4,", 20_000) + "203.0.113.9"}, trusted, "203.0.113.9"},
	} {
		r := &http.Request{RemoteAddr: x.peer, Header: http.Header{}}
		for _, line := range x.said {
			r.Header.Add("X-Forwarded-For", line)
		}
		if got := x.trusted.Client(r); got != x.want {
			t.Errorf("%s: %s, want %s", name, got, x.want)
		}
	}
}

func TestInvalidProxiesAreReported(t *testing.T) {
	for text, want := range map[string]string{
		"10.1.2.3": "10.1.2.3/32", "proxy.example.com": "not a network", "10.0.0.0/33": "not a network", "": "not a network",
		"::ffff:10.0.0.0/104": "not a network",
		"0.0.0.0/0":           "contains all addresses", "::/0": "contains all addresses",
	} {
		if got, faults := web.ParseProxies([]string{text}); len(got) != 0 || faults[0] == nil || !strings.Contains(faults[0].Error(), want) {
			t.Errorf("%q: %v %v, want a fault with %q", text, got, faults, want)
		}
	}
}
