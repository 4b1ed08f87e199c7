package egress_test

import (
	"math/big"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/outbound-events/outbound/pkg/egress"
	"github.com/outbound-events/outbound/pkg/recipient"
)

// FuzzNoURLLeadsInside reads hosts as the most lenient resolvers do (inet_aton: one to four numbers, decimal, octal or hexadecimal). A URL
// that leads to this machine or its network by any such reading is refused when it is saved, or as a literal address.
func FuzzNoURLLeadsInside(f *testing.F) {
	for _, host := range []string{"127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0x7f.1", "[::1]", "[::ffff:7f00:1]", "0",
		"[64:ff9b::7f00:1]", "[::ffff:0:127.0.0.1]", "127.0.0.1.", "0300.0250.0.1", "0xA9FEA9FE", "[fd00:ec2::254]", "[fe80::1%25lo]", "10.1",
		"017700000001", "１２７.1", "[2002:a00:1::]"} {
		f.Add("http://" + host + ":80/")
		f.Add("https://example.com@" + host)
	}
	g, err := egress.NewGuard(nil, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		if recipient.CheckURL(raw, recipient.AnyURL) != nil || g.CheckLiteral(raw) != nil {
			return
		}
		for _, parse := range []func(string) (*url.URL, error){url.Parse, recipient.ParseURL} {
			u, err := parse(raw)
			if err != nil {
				t.Fatalf("%q is accepted and no URL: %v", raw, err)
			}
			if addr, ok := lenient(u.Hostname()); ok && inside(addr) {
				t.Errorf("%q is accepted and may lead to %s", raw, addr)
			}
		}
	})
}

func inside(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsLoopback() || a.IsPrivate() || a.IsUnspecified() || a.IsLinkLocalUnicast() || a.IsMulticast() ||
		a.Is4() && a.As4()[0] == 0
}

// lenient reads a host as an address wherever some resolver would.
func lenient(host string) (netip.Addr, bool) {
	host, _, _ = strings.Cut(strings.TrimSuffix(host, "."), "%")
	if a, err := netip.ParseAddr(host); err == nil {
		return a, true
	}
	parts := strings.Split(host, ".")
	if len(parts) > 4 {
		return netip.Addr{}, false
	}
	sum := new(big.Int)
	for i, p := range parts {
		n, ok := number(p)
		bits := uint(8)
		if i == len(parts)-1 {
			bits = uint(8 * (5 - len(parts)))
		}
		if !ok || n.BitLen() > int(bits) {
			return netip.Addr{}, false
		}
		sum.Or(sum.Lsh(sum, bits), n)
	}
	var four [4]byte
	sum.FillBytes(four[:])
	return netip.AddrFrom4(four), true
}

func number(s string) (*big.Int, bool) {
	if s == "" || strings.ContainsAny(s, "_+-") {
		return nil, false
	}
	base := 10
	switch lower := strings.ToLower(s); {
	case strings.HasPrefix(lower, "0x"):
		s, base = s[2:], 16
	case len(s) > 1 && s[0] == '0':
		s, base = s[1:], 8
	}
	return new(big.Int).SetString(s, base)
}
