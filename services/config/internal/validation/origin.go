package validation

import (
	"strings"

	"github.com/outbound-events/outbound/pkg/recipient"
)

// Origin is the scheme, host and port of a URL (RFC 6454), the port of the scheme left out: two URLs of one origin lead to one server. What
// is no URL is its own origin.
func Origin(raw string) string {
	u, err := recipient.ParseURL(raw)
	if err != nil || u.Host == "" {
		return raw
	}
	scheme := strings.ToLower(u.Scheme)
	host := u.Host
	if port := u.Port(); port == "" || scheme == "https" && port == "443" || scheme == "http" && port == "80" {
		host = strings.TrimSuffix(strings.TrimSuffix(host, port), ":")
	}
	return scheme + "://" + host
}
