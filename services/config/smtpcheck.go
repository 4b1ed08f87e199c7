package config

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/outbound-events/outbound/pkg/recipient"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// relayChange is a change of the relay's settings: as they are to be, as they were, and which secrets are stored.
type relayChange struct {
	next, before *outboundv1.SmtpSettings
	stored       map[string]bool
	now          time.Time
}

// moved reports whether the relay is at another place, to which no stored secret may go.
func (c relayChange) moved() bool {
	return c.next.GetHost() != "" && !strings.EqualFold(c.next.GetHost(), c.before.GetHost())
}

// checkSMTP notes what is wrong with the relay's settings beyond the rules of the contract.
func checkSMTP(v *violations, c relayChange) {
	p := c.next
	if host := p.GetHost(); strings.Contains(host, ":") {
		if _, err := netip.ParseAddr(host); err != nil {
			v.add("host", reasonInvalid, "is neither a host name nor an IP address: set the port in the field port")
		}
	}
	if p.GetHost() != "" && p.GetFromAddress() == "" {
		v.add("fromAddress", reasonMissing, "is empty: set the sender address")
	}
	if p.GetFromAddress() != "" {
		v.check("fromAddress", recipient.CheckAddress(p.GetFromAddress()))
	}
	if pem := p.GetCaCertificatePem(); pem != "" && pem != c.before.GetCaCertificatePem() {
		v.check("caCertificatePem", recipient.CheckCAPEM(pem, c.now))
	}
	checkAddresses(v, "adminContacts", p.GetAdminContacts())
	if p.GetDailyNotice().GetEnabled() && len(p.GetAdminContacts()) == 0 {
		v.add("dailyNotice", reasonMissing, "has no recipients: set adminContacts")
	}
	if name := p.GetHelloName(); name != "" && (!strings.Contains(name, ".") || recipient.CheckAddress("postmaster@"+name) != nil) {
		v.add("helloName", reasonInvalid, fmt.Sprintf("%q is not a fully qualified host name: use e.g. outbound.example.com, or leave it empty", name))
	}
	checkSignIn(v, c)
	checkRelayOAuth2(v, c)
}

// checkSignIn notes what keeps us from signing in to the relay.
func checkSignIn(v *violations, c relayChange) {
	p := c.next
	if !signsIn(p) {
		if p.GetPassword() != "" {
			v.add("password", reasonInvalid, "is not used while auth is NONE: set auth, e.g. to PLAIN")
		}
		return
	}
	if p.GetUsername() == "" {
		v.add("username", reasonMissing, "is empty: set the user name, or set auth to NONE")
	}
	if p.GetEncryption() == outboundv1.SmtpSettings_Encryption_NONE && p.GetAuth() != outboundv1.SmtpSettings_Auth_CRAM_MD5 {
		v.add("auth", reasonInvalid, p.GetAuth().String()+" would send the password unencrypted: set encryption to STARTTLS or TLS")
	}
	stored := c.stored[recipient.SecretSMTPPassword]
	switch {
	case p.GetOauth2() != nil && p.GetPassword() != "":
		v.add("password", reasonInvalid, "is not used with oauth2: leave it empty")
	case p.GetOauth2() != nil || p.GetPassword() != "":
	case !stored && byToken(p):
		v.add("password", reasonMissing, "is empty and none is stored: set an access token, or set oauth2 to obtain tokens automatically")
	case !stored:
		v.add("password", reasonMissing, "is empty and none is stored: set it, or set auth to NONE")
	case c.moved():
		v.add("password", reasonMissing, "is stored for another host: enter it again to confirm that it may be sent to the new host")
	}
}

// checkRelayOAuth2 notes what keeps tokens for the relay from being got.
func checkRelayOAuth2(v *violations, c relayChange) {
	o, before := c.next.GetOauth2(), c.before.GetOauth2()
	if o == nil {
		return
	}
	if !byToken(c.next) {
		v.add("oauth2", reasonInvalid, "is not used unless auth is XOAUTH2: set auth to XOAUTH2, or remove oauth2")
		return
	}
	v.check("oauth2.tokenUrl", checkTokenURL(o.GetTokenUrl()))
	for i, scope := range o.GetScopes() {
		if scope == "" || strings.ContainsFunc(scope, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }) {
			v.add(fmt.Sprintf("oauth2.scopes[%d]", i), reasonInvalid, "is not a scope: list each scope separately, without spaces and quotes")
		}
	}
	// A token goes to the relay, and what it is got with to the endpoint: neither may be another one without being asked for.
	moved := c.moved() || placeOf(o.GetTokenUrl()) != placeOf(before.GetTokenUrl())
	for _, x := range []struct{ field, path, given string }{
		{"oauth2.clientSecret", recipient.SecretRelayClient, o.GetClientSecret()},
		{"oauth2.refreshToken", recipient.SecretRelayRefresh, o.GetRefreshToken()},
	} {
		if moved && x.given == "" && c.stored[x.path] {
			v.add(x.field, reasonMissing, "is stored for another host: enter it again to confirm that it may be sent to the new host")
		}
	}
	secret := o.GetClientSecret() != "" || c.stored[recipient.SecretRelayClient]
	refresh := o.GetRefreshToken() != "" || c.stored[recipient.SecretRelayRefresh]
	if !secret && !refresh {
		v.add("oauth2.clientSecret", reasonMissing, "is empty and none is stored: set it (client credentials), or refreshToken, or both")
	}
}

// checkTokenURL says what keeps an address from being asked for tokens. In the clear, only this host is.
func checkTokenURL(raw string) error {
	u, err := url.Parse(raw)
	if err != nil {
		return errors.New("is not a URL: use the form https://host/path")
	}
	if u.User != nil {
		return errors.New("contains a user name or password: use clientId and clientSecret instead")
	}
	if err := recipient.CheckURL(raw, recipient.AnyURL); err != nil {
		return err
	}
	if u.Scheme != "https" && !loopback(u.Hostname()) {
		return errors.New("uses http, which would send the client secret unencrypted: use https")
	}
	return nil
}

func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// placeOf is where a URL leads: its scheme, host and port.
func placeOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return raw
	}
	return strings.ToLower(u.Scheme + "://" + u.Host)
}
