package egress

import (
	"net/netip"

	"github.com/outbound-events/outbound/pkg/recipient"
)

// CheckLiteral is Check for a URL whose host is an address written out: the *ForbiddenError that every attempt would meet. It is
// nil for a URL with a name, whose address is judged when it is dialled.
func (g *Guard) CheckLiteral(raw string) error {
	addr, ok := literal(raw)
	if !ok {
		return nil
	}
	if forbidden := g.CheckAddr(addr); forbidden != nil {
		return forbidden
	}
	return nil
}

// literal is the address that a URL's host is written as, if it is one.
func literal(raw string) (netip.Addr, bool) {
	u, err := recipient.ParseURL(raw)
	if err != nil {
		return netip.Addr{}, false
	}
	addr, err := netip.ParseAddr(u.Hostname())
	return addr, err == nil
}
