package settings

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/recipient/credential"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config/internal/validation"
)

// relayChange is a change of the relay's settings: next and previous state, and which secrets are stored.
type relayChange struct {
	next, before *outboundv1.SmtpSettings
	stored       map[string]bool
	now          time.Time
}

// stays reports whether a stored secret stays if it is not given again.
func (c relayChange) stays(field string) bool {
	if field == "password" && (!signsIn(c.next) || c.next.GetOauth2() != nil) {
		return false
	}
	return c.stored["smtp."+field]
}

// checkMoved adds the stored secrets that a change would send to another relay, to the same without encryption, or to another token
// endpoint. Tokens are sent to the relay, and what they are obtained with is worth as much.
func checkMoved(v *validation.Violations, c relayChange) {
	from, to := relayAddress(c.before), relayAddress(c.next)
	if c.next.GetHost() != "" && from != to {
		v.SaidAgain(c.next.ProtoReflect(), "", validation.Moved{From: from, To: to, Stored: c.stays})
	}
	from, to = validation.Origin(c.before.GetOauth2().GetTokenUrl()), validation.Origin(c.next.GetOauth2().GetTokenUrl())
	if c.next.GetOauth2() != nil && from != to {
		v.SaidAgain(c.next.GetOauth2().ProtoReflect(), "oauth2", validation.Moved{From: from, To: to, Stored: c.stays})
	}
}

// relayAddress is the host and port of a relay, as people read them, and whether the way to it is not encrypted.
func relayAddress(p *outboundv1.SmtpSettings) string {
	filled, _ := proto.Clone(p).(*outboundv1.SmtpSettings)
	fillSMTP(filled)
	if filled.GetHost() == "" {
		return "no relay"
	}
	host, err := recipient.Host(filled.GetHost())
	if err != nil {
		host = filled.GetHost()
	}
	out := net.JoinHostPort(host, strconv.Itoa(int(filled.GetPort())))
	if filled.GetEncryption() == outboundv1.SmtpSettings_Encryption_NONE {
		out += " without encryption"
	}
	return out
}

// checkSMTP adds what is wrong with the relay's settings, beyond the rules of the contract.
func checkSMTP(v *validation.Violations, c relayChange) {
	p := c.next
	if host := p.GetHost(); strings.Contains(host, ":") {
		if _, err := netip.ParseAddr(host); err != nil {
			v.Add("host", validation.Invalid, "is neither a host name nor an IP address: set the port in the field port")
		}
	}
	if p.GetHost() != "" && p.GetFromAddress() == "" {
		v.Add("fromAddress", validation.Missing, "is empty: set the sender address")
	}
	if p.GetFromAddress() != "" {
		v.Check("fromAddress", recipient.CheckAddress(p.GetFromAddress()))
	}
	if pem := p.GetCaCertificatePem(); pem != "" && pem != c.before.GetCaCertificatePem() {
		v.Check("caCertificatePem", recipient.CheckCAPEM(pem, c.now))
	}
	v.Addresses("adminContacts", p.GetAdminContacts())
	if p.GetDailyNotice().GetEnabled() && len(p.GetAdminContacts()) == 0 {
		v.Add("dailyNotice", validation.Missing, "has no recipients: set adminContacts")
	}
	if name := p.GetHelloName(); name != "" && (!strings.Contains(name, ".") || recipient.CheckAddress("postmaster@"+name) != nil) {
		v.Add("helloName", validation.Invalid,
			fmt.Sprintf("%q is not a fully qualified host name: use e.g. outbound.example.com, or leave it empty", name))
	}
	checkSignIn(v, c)
	checkRelayOAuth2(v, c)
	checkMoved(v, c)
}

// checkSignIn adds what prevents signing in to the relay.
func checkSignIn(v *validation.Violations, c relayChange) {
	p := c.next
	if !signsIn(p) {
		if p.GetPassword() != "" {
			v.Add("password", validation.Invalid, "is not used while auth is NONE: set auth, e.g. to PLAIN")
		}
		return
	}
	if p.GetUsername() == "" {
		v.Add("username", validation.Missing, "is empty: set the user name, or set auth to NONE")
	}
	if p.GetEncryption() == outboundv1.SmtpSettings_Encryption_NONE && p.GetAuth() != outboundv1.SmtpSettings_Auth_CRAM_MD5 {
		v.Add("auth", validation.Invalid, p.GetAuth().String()+" would send the password unencrypted: set encryption to STARTTLS or TLS")
	}
	stored := c.stored[credential.SecretSMTPPassword]
	switch {
	case p.GetOauth2() != nil && p.GetPassword() != "":
		v.Add("password", validation.Invalid, "is not used with oauth2: leave it empty")
	case p.GetOauth2() != nil || p.GetPassword() != "":
	case !stored && byToken(p):
		v.Add("password", validation.Missing, "is empty and none is stored: set an access token, or set oauth2 to obtain tokens automatically")
	case !stored:
		v.Add("password", validation.Missing, "is empty and none is stored: set it, or set auth to NONE")
	}
}

// checkRelayOAuth2 adds what prevents obtaining tokens for the relay.
func checkRelayOAuth2(v *validation.Violations, c relayChange) {
	o := c.next.GetOauth2()
	if o == nil {
		return
	}
	if !byToken(c.next) {
		v.Add("oauth2", validation.Invalid, "is not used unless auth is XOAUTH2: set auth to XOAUTH2, or remove oauth2")
		return
	}
	v.Check("oauth2.tokenUrl", checkTokenURL(o.GetTokenUrl()))
	v.TokenRequest("oauth2", o.GetScopes(), o.GetParameters())
	secret := o.GetClientSecret() != "" || c.stored[credential.SecretRelayClient]
	refresh := o.GetRefreshToken() != "" || c.stored[credential.SecretRelayRefresh]
	if !secret && !refresh {
		v.Add("oauth2.clientSecret", validation.Missing, "is empty and none is stored: set it (client credentials), or refreshToken, or both")
	}
}

// checkTokenURL returns why a URL can't be used as token endpoint. Only this host may have one without TLS.
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
