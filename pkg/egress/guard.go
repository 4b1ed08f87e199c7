// Package egress dials the outside safely: it decides on the address that is actually dialled, so that no name, redirect or
// change of DNS leads to an address that is not meant, and it gives each recipient a transport of its own.
//
// The table of special-purpose blocks is that of code.dny.dev/ssrf, a small and current rendering of IANA's registries that
// imports the standard library alone. Only its tables are used: its own judgement knows neither addresses that no prefix
// may open, nor IPv4 embedded in an opened IPv6 block, nor our own services, and says nothing an operator could act upon.
// Addresses that clouds keep for themselves but that look public are added here.
package egress

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"code.dny.dev/ssrf"

	"github.com/outbound-events/outbound/pkg/process"
)

// Guard decides which addresses may be dialled: public ones, and those of prefixes that the operator has opened. Never allowed,
// whatever is opened: unspecified, multicast and broadcast addresses, addresses with a zone, and our own services. It does not
// change once made and may be used by many goroutines.
type Guard struct {
	allow []netip.Prefix
	own   []ownService
}

// NewGuard opens the prefixes in allow (CIDR, as `--allow-egress` has them; a bare address opens itself alone) beside public
// addresses, and closes our own services, given as `host:port`. An own service on an unspecified host (`:4222`, `0.0.0.0:4222`)
// closes its port on every address of this machine; one with a name closes what the name leads to at the time of the dial.
func NewGuard(allow, own []string) (*Guard, error) {
	g := &Guard{}
	for _, text := range allow {
		p, err := parsePrefix(text)
		if err != nil {
			return nil, err
		}
		g.allow = append(g.allow, p)
	}
	for _, text := range own {
		o, err := parseOwn(text)
		if err != nil {
			return nil, err
		}
		g.own = append(g.own, o)
	}
	return g, nil
}

// ValidateRules reports each entry of the options allowEgress and ownServices that NewGuard refuses, as process.Faults.
func ValidateRules(allowEgress, ownServices []string) error {
	var f process.Faults
	for i, text := range allowEgress {
		_, err := parsePrefix(text)
		f.Within(fmt.Sprintf("allowEgress[%d]", i), err)
	}
	for i, text := range ownServices {
		_, err := parseOwn(text)
		f.Within(fmt.Sprintf("ownServices[%d]", i), err)
	}
	return f.Err()
}

func parsePrefix(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil || p.Addr().Is4In6() {
		return netip.Prefix{}, fmt.Errorf("--allow-egress %q is not a CIDR prefix: write it like 10.1.0.0/16 or fd00:1::/48", text)
	}
	return p.Masked(), nil
}

// Check says whether an address may be dialled: nil, or a *ForbiddenError. It looks a name up only if an own service with a name
// has the same port.
func (g *Guard) Check(ctx context.Context, to netip.AddrPort) error {
	addr := to.Addr().Unmap()
	if err := g.CheckAddr(addr); err != nil {
		err.Port = to.Port()
		return err
	}
	for _, o := range g.own {
		if why := o.covers(ctx, addr, to.Port()); why != "" {
			return &ForbiddenError{Addr: addr, Port: to.Port(), Why: why, Never: true}
		}
	}
	return nil
}

// CheckAddr says whether an address may be dialled at some port: nil if so.
func (g *Guard) CheckAddr(addr netip.Addr) *ForbiddenError {
	addr = addr.Unmap()
	if why := never(addr); why != "" {
		return &ForbiddenError{Addr: addr, Why: why, Never: true}
	}
	if inner, ok := embedded(addr); ok {
		if err := g.CheckAddr(inner); err != nil {
			return &ForbiddenError{Addr: addr, Why: "it resolves to " + inner.String() + ", " + err.Why, Never: err.Never}
		}
	}
	why := special(addr)
	if why == "" || slices.ContainsFunc(g.allow, func(p netip.Prefix) bool { return opens(p, addr) }) {
		return nil
	}
	return &ForbiddenError{Addr: addr, Why: why}
}

// opens reports whether an allowed prefix opens an address. Metadata services hand out a machine's credentials: a wide
// prefix does not open them, only one that names them alone.
func opens(p netip.Prefix, addr netip.Addr) bool {
	if !p.Contains(addr) {
		return false
	}
	return !slices.Contains(metadata(), addr) || p.IsSingleIP()
}

// never says why an address can be no receiver at all; empty if it can.
func never(addr netip.Addr) string {
	switch {
	case !addr.IsValid():
		return "it is not an address"
	case addr.Zone() != "":
		return "it has a zone"
	case addr.IsUnspecified():
		return "it is unspecified and would connect to this machine"
	case addr.IsMulticast():
		return "it is multicast"
	case addr == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return "it is broadcast"
	default:
		return ""
	}
}

// special says why an address is not public; empty if it is.
func special(addr netip.Addr) string {
	switch {
	case addr.IsLoopback():
		return "it is loopback"
	case slices.Contains(metadata(), addr):
		return "it is a cloud metadata service"
	case addr.IsLinkLocalUnicast():
		return "it is link-local"
	case addr.IsPrivate():
		return "it is private"
	}
	denied := ssrf.IPv4DeniedPrefixes
	if addr.Is6() {
		if !ssrf.IPv6GlobalUnicast.Contains(addr) {
			return "it is outside the public IPv6 range " + ssrf.IPv6GlobalUnicast.String()
		}
		denied = ssrf.IPv6DeniedPrefixes
	}
	for _, p := range denied {
		if p.Contains(addr) {
			return "it is in the special-purpose block " + p.String()
		}
	}
	return ""
}

// metadata are the addresses of clouds' metadata services, among them one that looks public (Azure's 168.63.129.16).
func metadata() []netip.Addr {
	return []netip.Addr{
		netip.AddrFrom4([4]byte{169, 254, 169, 254}),
		netip.AddrFrom4([4]byte{169, 254, 170, 2}),
		netip.AddrFrom4([4]byte{168, 63, 129, 16}),
		netip.AddrFrom4([4]byte{100, 100, 100, 200}),
		netip.AddrFrom4([4]byte{192, 0, 0, 192}),
		netip.AddrFrom16([16]byte{0: 0xfd, 2: 0x0e, 3: 0xc2, 14: 0x02, 15: 0x54}),
		netip.AddrFrom16([16]byte{0: 0xfd, 1: 0x20, 3: 0xce, 14: 0x02, 15: 0x54}),
	}
}

// embedded is the IPv4 address that an IPv6 address leads to where a gateway translates: NAT64, 6to4, Teredo, IPv4-translated
// and IPv4-compatible forms.
func embedded(addr netip.Addr) (netip.Addr, bool) {
	if !addr.Is6() {
		return netip.Addr{}, false
	}
	b := addr.As16()
	last := netip.AddrFrom4([4]byte(b[12:]))
	head := [12]byte(b[:12])
	switch {
	case head == [12]byte{0: 0x00, 1: 0x64, 2: 0xff, 3: 0x9b}, // NAT64, 64:ff9b::/96
		head == [12]byte{8: 0xff, 9: 0xff}, // IPv4-translated, ::ffff:0:0:0/96
		head == [12]byte{} && b[12] != 0:   // IPv4-compatible, ::/96; ::1 is not one
		return last, true
	case b[0] == 0x20 && b[1] == 0x02: // 6to4, 2002::/16
		return netip.AddrFrom4([4]byte(b[2:6])), true
	case b[0] == 0x20 && b[1] == 0x01 && b[2] == 0 && b[3] == 0: // Teredo, 2001::/32: the client, inverted
		return netip.AddrFrom4([4]byte{^b[12], ^b[13], ^b[14], ^b[15]}), true
	default:
		return netip.Addr{}, false
	}
}

// ForbiddenError says that an address may not be dialled, why, and what to do.
type ForbiddenError struct {
	Addr netip.Addr
	// Name is set in place of Addr where a name itself is refused.
	Name string
	// Port is 0 where any port is meant.
	Port uint16
	// Why is a clause: "it is private".
	Why string
	// Never says that no option opens the address.
	Never bool
}

// Error names the address, the reason and the remedy.
func (e *ForbiddenError) Error() string {
	where := e.Addr.String()
	if e.Name != "" {
		where = e.Name
	} else if e.Port != 0 {
		where = netip.AddrPortFrom(e.Addr, e.Port).String()
	}
	if e.Never {
		return fmt.Sprintf("connecting to %s is forbidden: %s; no option allows this", where, e.Why)
	}
	return fmt.Sprintf("connecting to %s is forbidden: %s; to allow it, start with --allow-egress %s",
		where, e.Why, netip.PrefixFrom(e.Addr, e.Addr.BitLen()))
}
