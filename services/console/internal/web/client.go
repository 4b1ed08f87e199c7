package web

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
)

// Proxies are the networks of the trusted reverse proxies in front of the console. X-Forwarded-For is only used from them.
type Proxies []netip.Prefix

// ParseProxies parses networks. It returns one error per text, nil for a valid one.
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
		return p, fmt.Errorf("%q is not a network: use the CIDR of the proxies, e.g. 10.1.2.3/32 or fd00:1::/64", text)
	case p.Bits() == 0:
		return p, fmt.Errorf("%q contains all addresses, so that every client could set its own address: use the networks of the proxies "+
			"only", text)
	default:
		return p.Masked(), nil
	}
}

// trusts reports whether an address belongs to a trusted proxy.
func (p Proxies) trusts(a netip.Addr) bool {
	for _, network := range p {
		if network.Contains(a) {
			return true
		}
	}
	return false
}

// Client returns the client address of a request: the peer, or, if the peer is a trusted proxy, the rightmost address in
// X-Forwarded-For that is not trusted. Clients control everything to the left of it. If all addresses are trusted, it is the leftmost
// one; if one is invalid, it is the peer.
func (p Proxies) Client(r *http.Request) string {
	peer, ok := addressIn(r.RemoteAddr)
	if !ok {
		return r.RemoteAddr
	}
	at := peer
	// Repeated headers are one list.
	forwarded := strings.Join(r.Header.Values("X-Forwarded-For"), ",")
	for forwarded != "" && p.trusts(at) {
		i := strings.LastIndexByte(forwarded, ',')
		if at, ok = addressIn(strings.TrimSpace(forwarded[i+1:])); !ok {
			return peer.String()
		}
		forwarded = forwarded[:max(i, 0)]
	}
	return at.String()
}

// Secure reports whether the client uses HTTPS: to this process, or to a trusted proxy that says so in X-Forwarded-Proto.
func (p Proxies) Secure(r *http.Request) bool {
	if r.TLS != nil {
		return true
	}
	peer, ok := addressIn(r.RemoteAddr)
	return ok && p.trusts(peer) && strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https")
}

// addressIn parses an address with or without a port. Some proxies append the port of the client.
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

// Client returns the client address, for limits and the log.
func (r *Request) Client() string { return r.site.Proxies.Client(r.Request) }
