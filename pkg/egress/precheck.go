package egress

import (
	"context"
	"net"
	"net/netip"
	"net/url"

	"github.com/outbound-events/outbound/pkg/recipient"
)

// Precheck says what would keep a URL from being dialled as names and rules are now: nil, or a *DialError. A host that is an address
// is judged without asking anybody; one with several addresses is reached if one of them may be dialled. It is for warnings: what
// counts is the address at the time of the dial.
func (g *Guard) Precheck(ctx context.Context, r *net.Resolver, raw string) error {
	if err := g.CheckLiteral(raw); err != nil {
		return explainDial(raw, err)
	}
	u, err := recipient.ParseURL(raw)
	if err != nil {
		return nil //nolint:nilerr // what is no URL is told by recipient.CheckURL
	}
	address := hostPort(u)
	var found []netip.Addr
	if addr, ok := literal(raw); ok {
		found = []netip.Addr{addr}
	} else if found, err = lookup(ctx, r, u.Hostname()); err != nil {
		return explainDial(address, err)
	}
	if _, err := g.permitted(ctx, found, address); err != nil {
		return explainDial(address, err)
	}
	return nil
}

// hostPort is what is dialled for a URL.
func hostPort(u *url.URL) string {
	port := u.Port()
	switch {
	case port != "":
	case u.Scheme == "http":
		port = "80"
	default:
		port = "443"
	}
	return net.JoinHostPort(u.Hostname(), port)
}
