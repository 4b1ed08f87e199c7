// Package relay is a client of the operator's SMTP relay: it connects, encrypts, authenticates and sends emails one address at a
// time, and keeps idle connections for the next email.
//
// go-mail's Client sends a message to all its addresses in one transaction and stops at the first refusal, so it can't
// return a result for each address. Its smtp package, as net/smtp, reads keywords in one case only and has no time limits; the emersion
// client lacks CRAM-MD5 and XOAUTH2 and clears the deadlines of a context. So the commands are this package's own (client.go), and the
// authentication methods are go-mail's.
package relay

import (
	"net"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"github.com/outbound-events/outbound/pkg/settings"
	"github.com/outbound-events/outbound/pkg/throttle"
	"github.com/outbound-events/outbound/pkg/trust"
)

// Relay is where and how mail leaves. Two equal values may share a connection.
type Relay struct {
	Host               string
	Port               int
	Encryption         settings.Encryption
	Auth               settings.AuthMethod
	Username, Password string
	// CAPEM are the roots to verify with; empty: the system's.
	CAPEM string
	// Compat are concessions to an old relay.
	Compat trust.Compat
	// Hello is the name we introduce ourselves with; empty: our address on the connection.
	Hello string
	// OAuth2 is how access tokens are got; the zero value: the password is the token.
	OAuth2 OAuth2
	// Most is how many connections there may be at once.
	Most int
	// Limit is how many mails there may be in a time.
	Limit throttle.Limit
}

// Of makes a relay of the settings. Hello is our name where the settings have none.
func Of(s settings.SMTP, hello string) Relay {
	r := Relay{
		Host: inASCII(s.Host), Port: s.Port, Encryption: s.Encryption, Auth: s.Auth, Username: s.Username, Password: s.Password,
		CAPEM: s.CAPEM, Compat: trust.Compat{LegacyTLS: s.LegacyTLS, SmallHello: s.SmallClientHello}, Hello: hello,
		Most: s.MaxConnections, Limit: throttle.Limit{Turns: s.RateLimit.Limit, Period: s.RateLimit.Period},
	}
	if s.Hello != "" {
		r.Hello = s.Hello
	}
	r.Hello = inASCII(r.Hello)
	if r.Most <= 0 {
		r.Most = settings.DefaultMaxConnections
	}
	if o := s.OAuth2; o != nil && s.Auth == settings.XOAUTH2 {
		r.Password = ""
		r.OAuth2 = OAuth2{TokenURL: o.TokenURL, ClientID: o.ClientID, ClientSecret: o.ClientSecret, RefreshToken: o.RefreshToken,
			Scopes: strings.Join(o.Scopes, " "), Parameters: o.Parameters.Encode()}
	}
	return r
}

// inASCII is a host name as DNS and EHLO have it (RFC 5891). What is no host name stays as it is.
func inASCII(host string) string {
	if !strings.ContainsFunc(host, func(r rune) bool { return r >= utf8.RuneSelf }) {
		return host
	}
	if ascii, err := idna.Lookup.ToASCII(host); err == nil {
		return ascii
	}
	return host
}

// address is where to connect; a port of 0 is the usual one.
func (r Relay) address() string {
	port := r.Port
	if port == 0 {
		switch r.Encryption {
		case settings.NoEncryption:
			port = 25
		case settings.TLS:
			port = 465
		case settings.STARTTLS:
			port = 587
		default:
			port = 587
		}
	}
	return net.JoinHostPort(r.Host, strconv.Itoa(port))
}
