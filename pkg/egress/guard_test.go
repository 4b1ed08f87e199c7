package egress_test

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/outbound-events/outbound/pkg/egress"
)

func guard(t testing.TB, allow, own []string) *egress.Guard {
	t.Helper()
	g, err := egress.NewGuard(allow, own)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestOnlyPublicAddressesAreAllowedByDefault(t *testing.T) {
	g := guard(t, nil, nil)
	for _, public := range []string{
		"1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0",
		"172.15.255.255", "172.32.0.0", "192.167.255.255", "193.0.0.0", "198.17.255.255", "198.20.0.0", "223.255.255.255",
		"::ffff:8.8.8.8", "2606:4700:4700::1111", "2001:4860:4860::8888", "2a00:1450::1", "2620:0:2d0:200::7",
	} {
		if err := g.Check(t.Context(), netip.AddrPortFrom(netip.MustParseAddr(public), 443)); err != nil {
			t.Errorf("%s: %v", public, err)
		}
	}
	for _, forbidden := range []string{
		// IPv4: this network, private, shared, loopback, link-local, protocol, documentation, relays, benchmarks, multicast, reserved.
		"0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.1.2.3",
		"127.255.255.255", "169.254.0.1", "169.254.169.254", "169.254.170.2", "172.16.0.1", "172.31.255.255", "192.0.0.1",
		"192.0.0.170", "192.0.0.192", "192.0.2.1", "192.31.196.1", "192.52.193.1", "192.88.99.1", "192.168.0.1",
		"192.168.255.255", "192.175.48.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1",
		"239.255.255.255", "240.0.0.1", "255.255.255.254", "255.255.255.255",
		// Public by its block, but a cloud's own.
		"168.63.129.16", "100.100.100.200",
		// IPv6: unspecified, loopback, mapped, compatible, translated, NAT64, discard, protocol, Teredo, ORCHID, documentation, 6to4.
		"::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "::8.8.8.8",
		"::ffff:0:127.0.0.1", "::ffff:0:8.8.8.8", "64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::1", "100::1", "100:0:0:1::1",
		"2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:2::1", "2001:10::1", "2001:20::1", "2001:db8::1", "2002:7f00:1::1",
		"2002:808:808::1", "2620:4f:8000::1", "3fff::1", "3fff:fff::1",
		// Outside 2000::/3.
		"4000::1", "5f00::1", "fc00::1", "fd00::1", "fd00:ec2::254", "fd20:ce::254", "fe80::1", "febf::1", "fec0::1", "ff02::1", "fe80::1%eth0",
		"2606:4700::1%eth0",
	} {
		err := g.Check(t.Context(), netip.AddrPortFrom(netip.MustParseAddr(forbidden), 443))
		var e *egress.ForbiddenError
		if !errors.As(err, &e) {
			t.Errorf("%s is allowed (%v)", forbidden, err)
			continue
		}
		if e.Why == "" || !e.Never && !strings.Contains(err.Error(), "--allow-egress "+e.Addr.String()) {
			t.Errorf("%s: %q says neither why nor what to do", forbidden, err)
		}
	}
}

func TestPrefixesOpenWhatTheyNameAndNoMore(t *testing.T) {
	for _, c := range []struct {
		name, to    string
		allow, own  []string
		wantAllowed bool
	}{
		{"loopback opened", "127.0.0.1", []string{"127.0.0.0/8"}, nil, true},
		{"mapped form of an opened address", "::ffff:127.0.0.1", []string{"127.0.0.0/8"}, nil, true},
		{"a bare address", "10.1.2.3", []string{"10.1.2.3"}, nil, true},
		{"its neighbour", "10.1.2.4", []string{"10.1.2.3"}, nil, false},
		{"host bits are ignored", "10.1.9.9", []string{"10.1.2.3/16"}, nil, true},
		{"IPv6 loopback opened", "::1", []string{"::1/128"}, nil, true},
		{"unique local opened", "fd00:1::5", []string{"fd00:1::/32"}, nil, true},
		{"unspecified in an opened prefix", "0.0.0.0", []string{"0.0.0.0/0"}, nil, false},
		{"unspecified IPv6 in an opened prefix", "::", []string{"::/0"}, nil, false},
		{"broadcast in an opened prefix", "255.255.255.255", []string{"0.0.0.0/0"}, nil, false},
		{"multicast in an opened prefix", "224.0.0.1", []string{"0.0.0.0/0"}, nil, false},
		{"a zone in an opened prefix", "fe80::1%eth0", []string{"::/0"}, nil, false},
		{"metadata in a wide prefix", "169.254.169.254", []string{"0.0.0.0/0"}, nil, false},
		{"metadata in a wide IPv6 prefix", "fd00:ec2::254", []string{"fd00::/8"}, nil, false},
		{"metadata named alone", "169.254.169.254", []string{"169.254.169.254/32"}, nil, true},
		{"6to4 opened, leading to a private address", "2002:a00:1::1", []string{"2002::/16"}, nil, false},
		{"6to4 opened, leading to a public address", "2002:808:808::1", []string{"2002::/16"}, nil, true},
		{"NAT64 opened, leading to loopback", "64:ff9b::7f00:1", []string{"64:ff9b::/96"}, nil, false},
		{"NAT64 opened, leading to a public address", "64:ff9b::808:808", []string{"64:ff9b::/96"}, nil, true},
		{"NAT64 opened, leading to an opened address", "64:ff9b::a00:1", []string{"64:ff9b::/96", "10.0.0.0/8"}, nil, true},
		{"compatible form, all IPv6 opened", "::127.0.0.1", []string{"::/0"}, nil, false},
		{"translated form, all IPv6 opened", "::ffff:0:127.0.0.1", []string{"::/0"}, nil, false},
		{"Teredo to loopback, all IPv6 opened", "2001::80ff:fffe", []string{"::/0"}, nil, false},
		{"own service", "127.0.0.1", []string{"127.0.0.0/8"}, []string{"127.0.0.1:443"}, false},
		{"own service at another port", "127.0.0.1", []string{"127.0.0.0/8"}, []string{"127.0.0.1:4222"}, true},
		{"own service on every address", "127.9.9.9", []string{"127.0.0.0/8"}, []string{":443"}, false},
		{"own service on every IPv6 address", "::1", []string{"::1/128"}, []string{"[::]:443"}, false},
		{"own service by name", "127.0.0.1", []string{"127.0.0.0/8"}, []string{"localhost:443"}, false},
		{"own service on a public address", "8.8.8.8", nil, []string{"8.8.8.8:443"}, false},
		{"a stranger beside a service on every address", "8.8.8.8", nil, []string{"0.0.0.0:443"}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := guard(t, c.allow, c.own).Check(t.Context(), netip.AddrPortFrom(netip.MustParseAddr(c.to), 443))
			if allowed := err == nil; allowed != c.wantAllowed {
				t.Errorf("%s with %v: %v", c.to, c.allow, err)
			}
		})
	}
}

func TestOwnServiceThatCannotBeLookedUpCountsAsReached(t *testing.T) {
	g := guard(t, []string{"127.0.0.0/8"}, []string{"nats.internal:4222"})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := g.Check(ctx, netip.MustParseAddrPort("127.0.0.1:4222")); err == nil {
		t.Error("allowed although nobody knows whether it is the broker")
	}
	if err := g.Check(ctx, netip.MustParseAddrPort("127.0.0.1:4223")); err != nil {
		t.Errorf("another port: %v", err)
	}
}

func TestGuardRefusesWhatItCannotRead(t *testing.T) {
	for _, allow := range []string{"", "10.0.0.0/33", "example.com", "10.0.0.0/8,127.0.0.0/8", "::ffff:10.0.0.0/104", "fe80::1%eth0"} {
		if _, err := egress.NewGuard([]string{allow}, nil); err == nil || !strings.Contains(err.Error(), "--allow-egress") {
			t.Errorf("%q: %v, want an error that names the option", allow, err)
		}
	}
	for _, own := range []string{"", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:http", "127.0.0.1:70000"} {
		if _, err := egress.NewGuard(nil, []string{own}); err == nil {
			t.Errorf("%q is no address of a service", own)
		}
	}
}
