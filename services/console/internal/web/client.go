package web

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
)

// Proxies are the networks of the reverse proxies before the console: what they say of who asks is believed. Without any, nobody is.
type Proxies []netip.Prefix

// ParseProxies reads networks as options spell them. It has a fault for each of them, nil for one that is right.
func ParseProxies(texts []string) (Proxies, []error) {
	var out Proxies
	faults := make([]error, len(texts))
	for i, text := range texts {
		var p netip.Prefix
		if p, faults[i] = parseProxy(text); faults[i] == nil {
			out = append(out, p)
		}
	}
	return out, faults
}

func parseProxy(text string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(text)
	switch {
	case err != nil || p.Addr().Is4In6():
		return p, fmt.Errorf("%q is not a network: write the addresses of the proxies as CIDR, e.g. 10.1.2.3/32 or fd00:1::/64", text)
	case p.Bits() == 0:
		return p, fmt.Errorf("%q holds everybody, so that anybody could pass for any address: give the addresses of the proxies alone", text)
	default:
		return p.Masked(), nil
	}
}

// trusts reports whether an address is a proxy's.
func (p Proxies) trusts(a netip.Addr) bool {
	for _, network := range p {
		if network.Contains(a) {
			return true
		}
	}
	return false
}

// Client is the address that a request came from: the peer's, or, if the peer is a proxy that is trusted, the rightmost one in
// X-Forwarded-For that is not. What stands left of it was written by the client, who may write anything. If all are trusted it is
// the leftmost; if one on the way there is no address, the peer's.
func (p Proxies) Client(r *http.Request) string {
	peer, ok := addressIn(r.RemoteAddr)
	if !ok {
		return r.RemoteAddr
	}
	at := peer
	// Lines of one header are one list, in their order.
	said := strings.Join(r.Header.Values("X-Forwarded-For"), ",")
	for said != "" && p.trusts(at) {
		i := strings.LastIndexByte(said, ',')
		if at, ok = addressIn(strings.TrimSpace(said[i+1:])); !ok {
			return peer.String()
		}
		said = said[:max(i, 0)]
	}
	return at.String()
}

// addressIn reads an address, with a port behind it or without: some proxies write the client's along.
func addressIn(text string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(text)
	if err != nil {
		both, err := netip.ParseAddrPort(text)
		if err != nil {
			return a, false
		}
		a = both.Addr()
	}
	return a.Unmap().WithZone(""), true
}

// Client is the address that the request came from, for limits and the log.
func (r *Request) Client() string { return r.site.Proxies.Client(r.Request) }
