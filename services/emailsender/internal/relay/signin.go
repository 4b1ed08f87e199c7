package relay

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/wneessen/go-mail/smtp"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/settings"
)

// signIn signs in, if the relay wants it. A password or token never crosses a connection in the clear, to whatever host.
func (c *session) signIn(ctx context.Context) *Failure {
	r := c.relay
	refuse := func(format string, args ...any) *Failure {
		return &Failure{Step: StepAuth, Fault: delivery.FaultAuth, Cause: fmt.Errorf(format, args...)}
	}
	var name string
	var how smtp.Auth
	switch r.Auth {
	case settings.NoAuth, "":
		return nil
	case settings.Plain:
		name, how = "PLAIN", smtp.PlainAuth("", r.Username, c.secret, r.Host, false)
	case settings.Login:
		name, how = "LOGIN", smtp.LoginAuth(r.Username, c.secret, r.Host, false)
	case settings.CRAMMD5:
		name, how = "CRAM-MD5", smtp.CRAMMD5Auth(r.Username, c.secret)
	case settings.XOAUTH2:
		name, how = "XOAUTH2", smtp.XOAuth2Auth(r.Username, c.secret)
	default:
		return refuse("unknown authentication method %q", r.Auth)
	}
	if r.Auth != settings.CRAMMD5 && !c.encrypted {
		return refuse("authentication with %s needs an encrypted connection: use STARTTLS or TLS", name)
	}
	methods, ok := c.client.offered("AUTH")
	switch {
	case !ok:
		return refuse("the relay does not offer authentication with %s: %s", name, c.client.words())
	case !slices.Contains(methods, name):
		return refuse("the relay does not offer authentication with %s but with %s: set auth to one of these", name, listed(methods))
	}
	server := &smtp.ServerInfo{Name: r.Host, TLS: c.encrypted, Auth: methods}
	err := c.setup(ctx, StepAuth, limitCommand, func() error { return c.client.auth(how, server) })
	if err == nil {
		return nil
	}
	f := failed(ctx, StepAuth, err)
	if f.Code != 0 && f.Code != codeClosing {
		f.Fault = delivery.FaultAuth
	}
	f.Reply = c.withoutSecrets(f.Reply)
	return f
}

// listed joins words that a relay offers.
func listed(words []string) string {
	if len(words) == 0 {
		return "nothing"
	}
	return strings.Join(words, ", ")
}

// words says what the relay offers, for whoever configured something else.
func (c *client) words() string {
	if c.offers == nil {
		return "it answers HELO only, so it offers no extensions"
	}
	keywords := make([]string, 0, len(c.offers))
	for k, parameters := range c.offers {
		if k == "AUTH" && len(parameters) > 0 {
			k += " " + strings.Join(parameters, " ")
		}
		keywords = append(keywords, k)
	}
	slices.Sort(keywords)
	return "it offers " + listed(keywords)
}

// withoutSecrets takes out what a relay may have echoed.
func (c *session) withoutSecrets(s string) string {
	for _, secret := range []string{c.secret, c.relay.Username} {
		if secret != "" {
			s = strings.ReplaceAll(s, secret, "…")
		}
	}
	return s
}
