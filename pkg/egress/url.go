package egress

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// URLPolicy says which URLs recipients may have. It is the value of `--url-policy`.
type URLPolicy string

// The policies.
const (
	// HTTPS allows https at any port. The default.
	HTTPS URLPolicy = "https"
	// HTTPS443 allows https at port 443 alone.
	HTTPS443 URLPolicy = "https-443"
	// AnyURL allows http and https at any port.
	AnyURL URLPolicy = "any"
)

// Validate reports a policy that is none.
func (p URLPolicy) Validate() error {
	switch p {
	case HTTPS, HTTPS443, AnyURL:
		return nil
	default:
		return fmt.Errorf("--url-policy %q is unknown: use https, https-443 or any", string(p))
	}
}

// maxURL is the longest URL of a recipient, in bytes. The proto documents the same figure.
const maxURL = 2048

// CheckURL says what is wrong with the URL of a recipient, all faults at once; nil if nothing is. Its errors do not repeat the
// URL, which may hold secrets. Whether the address may be dialled is the guard's to say.
func (p URLPolicy) CheckURL(raw string) error {
	if len(raw) > maxURL {
		return fmt.Errorf("the URL has %d bytes: at most %d are allowed", len(raw), maxURL)
	}
	u, err := url.Parse(raw)
	if err != nil {
		return errors.New("the URL cannot be read: write it like https://receiver.example.com/path, special characters percent-encoded")
	}
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	switch {
	case u.Scheme == "https":
	case u.Scheme == "http" && p == AnyURL:
	case u.Scheme == "http":
		fault("http is not allowed by the URL policy %q: use https, or start with --url-policy any", string(p))
	default:
		fault("the URL must begin with https://")
	}
	if u.User != nil {
		fault("the URL must not hold a user name or password: use auth")
	}
	if u.Fragment != "" || strings.Contains(raw, "#") {
		fault("the URL must not have a fragment (#…): it is never sent")
	}
	if why := hostFault(u); why != "" {
		fault("%s", why)
	}
	if why := p.portFault(u); why != "" {
		fault("%s", why)
	}
	return errors.Join(faults...)
}

// hostFault says what is wrong with a URL's host. Numbers that some resolvers take for IPv4 addresses (`127.1`, `0x7f.1`,
// `2130706433`) are refused: nobody writes them with good intent.
func hostFault(u *url.URL) string {
	host := u.Hostname()
	if u.Opaque != "" || host == "" {
		return "the URL has no host"
	}
	if strings.Contains(host, "%") {
		return "the URL's host must not have a zone or percent-encoding"
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return ""
	}
	if strings.ContainsAny(host, ":[]") {
		return "the URL's host is not an address"
	}
	if strings.ContainsFunc(host, func(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune("\"<>\\^`{|}", r) }) {
		return "the URL's host has characters that no host name has"
	}
	name := strings.TrimSuffix(host, ".")
	last := name[strings.LastIndexByte(name, '.')+1:]
	if last == "" || strings.HasPrefix(name, ".") || strings.Contains(name, "..") {
		return "the URL's host has an empty label"
	}
	if numeric(last) {
		return "the URL's host looks like a number: write an IPv4 address as four decimal numbers"
	}
	return ""
}

// numeric reports whether a host's last label makes it an IPv4 address to some resolvers.
func numeric(label string) bool {
	if strings.Trim(label, "0123456789") == "" {
		return true
	}
	hex, ok := strings.CutPrefix(strings.ToLower(label), "0x")
	return ok && strings.Trim(hex, "0123456789abcdef") == ""
}

func (p URLPolicy) portFault(u *url.URL) string {
	text := u.Port()
	if text == "" {
		if strings.HasSuffix(u.Host, ":") {
			return "the URL's port is empty: leave the colon out"
		}
		return ""
	}
	port, err := strconv.ParseUint(text, 10, 16)
	switch {
	case err != nil || port == 0:
		return "the URL's port must be a number from 1 to 65535"
	case p == HTTPS443 && port != 443:
		return "port " + text + " is not allowed by the URL policy \"https-443\": use 443"
	default:
		return ""
	}
}

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
