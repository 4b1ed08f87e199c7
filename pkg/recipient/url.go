package recipient

import (
	"errors"
	"net/netip"
	"net/url"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// ParseURL reads a URL with its host in the one form that is used for looking it up, connecting, TLS, the Host header and the words about
// it: see Host. It is not CheckURL, which says whether a recipient may have it.
func ParseURL(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil {
		// The text of url.Error repeats the URL, which may hold a password.
		return nil, errors.New("is not a URL: use the form https://host/path")
	}
	host, err := Host(u.Hostname())
	if err != nil {
		return nil, err
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if i := strings.LastIndexByte(u.Host, ':'); i >= 0 && !strings.HasSuffix(u.Host, "]") {
		host += u.Host[i:]
	}
	u.Host = host
	return u, nil
}

// Host is the one form of a host name: lower case, with international labels in ASCII (IDNA 2008, UTS 46). An address and a last dot stay
// as they are: the dot says that the name is complete.
func Host(name string) (string, error) {
	if _, err := netip.ParseAddr(name); err == nil {
		return name, nil
	}
	if !strings.ContainsFunc(name, func(r rune) bool { return r >= utf8.RuneSelf }) {
		return strings.ToLower(name), nil
	}
	// Underscores are no part of host names and are in use all the same.
	profile := idna.New(idna.MapForLookup(), idna.Transitional(false), idna.StrictDomainName(false), idna.BidiRule(),
		idna.VerifyDNSLength(true))
	base, dot := strings.CutSuffix(name, ".")
	ascii, err := profile.ToASCII(base)
	if err != nil {
		return "", errors.New("has a host that is not a valid international name (IDNA): check its spelling, or use the xn-- form")
	}
	if _, err := netip.ParseAddr(ascii); err == nil {
		return "", errors.New("has a host that looks like a number: use four decimal numbers for an IPv4 address")
	}
	if dot {
		ascii += "."
	}
	return ascii, nil
}
