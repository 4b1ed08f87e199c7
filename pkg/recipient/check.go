package recipient

import (
	"errors"
	"fmt"
	"net/mail"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"github.com/outbound-events/outbound/pkg/trust"
)

// URLPolicy says which URLs a deployment lets recipients have.
type URLPolicy string

// The URL policies.
const (
	// HTTPSOnly allows https on any port. It is the default.
	HTTPSOnly URLPolicy = "https"
	// HTTPS443 allows https on port 443 alone.
	HTTPS443 URLPolicy = "https-443"
	// AnyURL allows http as well.
	AnyURL URLPolicy = "any"
)

// ParseURLPolicy reads a policy as people write it.
func ParseURLPolicy(s string) (URLPolicy, error) {
	switch p := URLPolicy(s); p {
	case HTTPSOnly, HTTPS443, AnyURL:
		return p, nil
	default:
		return "", fmt.Errorf("unknown URL policy %q: use https, https-443 or any", s)
	}
}

// CheckURL reports why a recipient may not have a URL under a policy, or nil. Whether the host may be reached is decided
// when it is dialled, since names change their addresses.
func CheckURL(raw string, policy URLPolicy) error {
	for _, r := range raw {
		if r <= ' ' || r == 0x7f || unicode.IsControl(r) || unicode.IsSpace(r) {
			return errors.New("contains spaces or control characters: percent-encode them")
		}
	}
	u, err := ParseURL(raw)
	if err != nil {
		return err
	}
	if err := checkScheme(u, policy); err != nil {
		return err
	}
	if u.User != nil {
		return errors.New("contains a user name or password: use http.auth.basic instead")
	}
	if u.Fragment != "" || strings.Contains(raw, "#") {
		return errors.New("contains a fragment (#…), which is never sent: remove it")
	}
	return checkHost(u, policy)
}

func checkScheme(u *url.URL, policy URLPolicy) error {
	switch {
	case u.Opaque != "" || u.Scheme == "":
		return errors.New("is not an absolute URL: use the form https://host/path")
	case u.Scheme == "https", u.Scheme == "http" && policy == AnyURL:
		return nil
	case u.Scheme == "http":
		return errors.New("uses http, but this deployment allows only https (--url-policy)")
	default:
		return fmt.Errorf("has the scheme %q: use https", u.Scheme)
	}
}

func checkHost(u *url.URL, policy URLPolicy) error {
	host := u.Hostname()
	if host == "" {
		return errors.New("has no host: use the form https://host/path")
	}
	if strings.Contains(host, "%") {
		return errors.New("has a host with a zone or percent-encoding: use a name or a plain address")
	}
	if err := checkHostName(host); err != nil {
		return err
	}
	if strings.HasSuffix(u.Host, ":") {
		return errors.New("has a colon without a port after the host")
	}
	port := u.Port()
	if port == "" {
		return nil
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return fmt.Errorf("has the port %s: use 1 to 65535", port)
	}
	if policy == HTTPS443 && port != "443" {
		return fmt.Errorf("has the port %s, but this deployment allows only 443 (--url-policy)", port)
	}
	return nil
}

// checkHostName reports why a host is neither an address nor a name, or nil. Numbers that some resolvers take for an IPv4
// address (`127.1`, `0x7f.1`, `2130706433`) are refused: nobody writes them with good intent.
func checkHostName(host string) error {
	if _, err := netip.ParseAddr(host); err == nil {
		return nil
	}
	if strings.Contains(host, ":") {
		return errors.New("has a host that is not an IPv6 address")
	}
	if strings.ContainsAny(host, "\"<>\\^`{|}[]") {
		return errors.New("has a host with characters that are not allowed in host names")
	}
	name := strings.TrimSuffix(host, ".")
	if strings.HasPrefix(name, ".") || strings.HasSuffix(name, ".") || strings.Contains(name, "..") || name == "" {
		return errors.New("has a host with an empty label")
	}
	if looksNumeric(name[strings.LastIndexByte(name, '.')+1:]) {
		return errors.New("has a host that looks like a number: use four decimal numbers for an IPv4 address")
	}
	return nil
}

// looksNumeric reports whether a host whose last label this is counts as an IPv4 address to some resolvers.
func looksNumeric(label string) bool {
	if strings.Trim(label, "0123456789") == "" {
		return true
	}
	hex, ok := strings.CutPrefix(strings.ToLower(label), "0x")
	return ok && strings.Trim(hex, "0123456789abcdef") == ""
}

// CheckCAPEM reports why a text is no set of certificates to verify a server with that can be used now, or nil.
func CheckCAPEM(text string, now time.Time) error { return trust.Check(text, now) }

// maxAddress is the most bytes an address may have (RFC 5321 4.5.3.1.3).
const maxAddress = 254

// CheckAddress reports why a text is no plain mail address (`ops@example.com`), or nil. Quoted local parts, domain
// literals and display names are none. Other letters than ASCII may stand in the domain (RFC 5890) and before the @ (RFC 6531).
func CheckAddress(s string) error {
	if len(s) > maxAddress {
		return fmt.Errorf("has more than %d bytes", maxAddress)
	}
	for _, r := range s {
		if r == ' ' || r == utf8.RuneError || !unicode.IsPrint(r) {
			return errors.New("contains spaces, control characters or other characters that can't be printed: remove them")
		}
	}
	if strings.ContainsAny(s, `"<>()[],;:\`) {
		return errors.New("must be a plain address like ops@example.com: no display name, quotes, comments or domain literal")
	}
	a, err := mail.ParseAddress(s)
	if err != nil || a.Address != s || a.Name != "" {
		return errors.New("is not an email address: use the form ops@example.com")
	}
	at := strings.LastIndexByte(s, '@')
	local, domain := s[:at], s[at+1:]
	if len(local) > 64 {
		return errors.New("has more than 64 characters before the @")
	}
	ascii, err := asciiDomain(domain)
	if err != nil {
		return fmt.Errorf("has the domain %q, which is not valid: %w", domain, err)
	}
	return checkDomain(ascii)
}

// asciiDomain is a domain as DNS has it. One in ASCII stays as it is.
func asciiDomain(domain string) (string, error) {
	if !strings.ContainsFunc(domain, func(r rune) bool { return r >= utf8.RuneSelf }) {
		return domain, nil
	}
	return idna.Lookup.ToASCII(domain)
}

func checkDomain(domain string) error {
	if len(domain) > 253 {
		return errors.New("has a domain of more than 253 characters")
	}
	for label := range strings.SplitSeq(domain, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return fmt.Errorf("has the domain %q, which is not valid", domain)
		}
		for _, r := range label {
			if r != '-' && r != '_' && !isAlphanumeric(r) {
				return fmt.Errorf("has the domain %q, which is not valid", domain)
			}
		}
	}
	return nil
}

func isAlphanumeric(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}

// SameAddress is what two mail addresses that reach one mailbox have in common: the domain's case and form do not count, the local
// part's do.
func SameAddress(s string) string {
	at := strings.LastIndexByte(s, '@')
	if at < 0 {
		return s
	}
	domain := s[at+1:]
	if ascii, err := asciiDomain(domain); err == nil {
		domain = ascii
	}
	return s[:at+1] + strings.ToLower(domain)
}
