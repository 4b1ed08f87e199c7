package egress

import (
	"net/netip"
	"net/url"

	"github.com/outbound-events/outbound/pkg/recipient"
)

// URLPolicy is the value of `--url-policy`. What it allows is recipient.CheckURL's to say; where a URL leads is the guard's.
type URLPolicy = recipient.URLPolicy

// HTTPS is the default policy.
const HTTPS = recipient.HTTPSOnly

// CheckLiteral is Check for a URL whose host is an address written out: the *ForbiddenError that every attempt would meet. It is
// nil for a URL with a name, whose address is judged when it is dialled.
func (g *Guard) CheckLiteral(raw string) error {
	u, err := url.Parse(raw)
	if err != nil {
		return nil
	}
	addr, err := netip.ParseAddr(u.Hostname())
	if err != nil {
		return nil
	}
	if err := g.CheckAddr(addr); err != nil {
		return err
	}
	return nil
}
