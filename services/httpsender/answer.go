package httpsender

import (
	"errors"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/outbound-events/outbound/pkg/recipient"
)

// retryAfter reads the header of that name: seconds or a date. What is neither, or over, is 0. A number too large for us is a very
// long wait, not none.
func retryAfter(value string, now time.Time) time.Duration {
	if value == "" {
		return 0
	}
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil || errors.Is(err, strconv.ErrRange) {
		return time.Duration(seconds) * time.Second //nolint:gosec // of 31 bits
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return max(0, at.Sub(now))
}

// pointsTo says where a redirect leads, without path and query, which may hold secrets.
func pointsTo(from *url.URL, location string) string {
	to, err := from.Parse(location)
	if location == "" || err != nil {
		return ""
	}
	if plain, err := recipient.ParseURL(to.String()); err == nil {
		to = plain
	}
	return "Location: " + (&url.URL{Scheme: to.Scheme, Host: to.Host}).String() + otherPart(from, to)
}

// otherPart says in which part two URLs of one host differ.
func otherPart(from, to *url.URL) string {
	switch {
	case !strings.EqualFold(to.Host, from.Host) || to.Scheme != from.Scheme:
		return ""
	case to.EscapedPath() == from.EscapedPath()+"/":
		return ", the same host with a slash at the end of the path"
	case to.EscapedPath() != from.EscapedPath():
		return ", the same host with another path"
	case to.RawQuery != from.RawQuery:
		return ", the same host and path with another query"
	default:
		return ", the same URL"
	}
}

// hostHeader is the value of Host: servers that compare it know a name without its last dot.
func hostHeader(u *url.URL) string {
	host := strings.TrimSuffix(u.Hostname(), ".")
	switch {
	case u.Port() != "":
		return net.JoinHostPort(host, u.Port())
	case strings.Contains(host, ":"):
		return "[" + host + "]"
	default:
		return host
	}
}
