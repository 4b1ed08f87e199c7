package emailsender_test

import (
	"strings"
	"testing"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/settings"
	"github.com/outbound-events/outbound/pkg/smtptest"
	"github.com/outbound-events/outbound/services/emailsender"
)

const password = "correct horse"

func TestEncryptionAndSignIn(t *testing.T) {
	ca := smtptest.NewCA(t)
	cert := ca.Issue(t, "127.0.0.1")
	for _, encryption := range []settings.Encryption{settings.STARTTLS, settings.TLS} {
		for _, auth := range []settings.AuthMethod{settings.NoAuth, settings.Plain, settings.Login, settings.CRAMMD5, settings.XOAUTH2} {
			t.Run(string(encryption)+" "+string(auth), func(t *testing.T) {
				srv := smtptest.Start(t, smtptest.Options{Certificate: cert, Implicit: encryption == settings.TLS, Username: "user",
					Password: password})
				conf := relayOf(srv)
				conf.change(func(c *settings.SMTP) {
					c.Encryption, c.Auth, c.Username, c.Password, c.CAPEM = encryption, auth, "user", password, ca.PEM
				})
				s := emailsender.NewSender(t, options(), conf)
				v, _ := try(t, s, deliveryTo(alice, bob))
				want(t, v, delivery.Delivered, reasons.OK)
				for _, m := range srv.Mails() {
					if !m.TLS || (m.User == "user") != (auth != settings.NoAuth) {
						t.Errorf("mail with TLS %t of user %q", m.TLS, m.User)
					}
				}
				if strings.Contains(srv.Heard(), alice) || auth != settings.NoAuth && strings.Contains(srv.Heard(), "AUTH") {
					t.Error("the mail or the sign-in crossed the line in the clear")
				}
				if auth == settings.NoAuth {
					return
				}
				conf.change(func(c *settings.SMTP) { c.Password = "wrong " + password })
				v, o := try(t, s, deliveryTo(alice))
				want(t, v, delivery.Retry, reasons.Auth)
				if o.Status != 535 || strings.Contains(v.Detail+string(o.Excerpt), password) {
					t.Errorf("status %d, detail %q, excerpt %q", o.Status, v.Detail, o.Excerpt)
				}
			})
		}
	}
}

func TestNothingIsSentInTheClearWhenSTARTTLSIsStripped(t *testing.T) {
	ca := smtptest.NewCA(t)
	srv := smtptest.Start(t, smtptest.Options{Certificate: ca.Issue(t, "127.0.0.1"), Username: "user", Password: password, AuthInClear: true})
	srv.Play(smtptest.Script{HideSTARTTLS: true})
	conf := relayOf(srv)
	conf.change(func(c *settings.SMTP) {
		c.Encryption, c.Auth, c.Username, c.Password, c.CAPEM = settings.STARTTLS, settings.Plain, "user", password, ca.PEM
	})
	v, _ := try(t, emailsender.NewSender(t, options(), conf), deliveryTo(alice))
	want(t, v, delivery.Retry, reasons.TLS)
	for _, word := range []string{"AUTH", "MAIL", "RCPT", "DATA", "example"} {
		if strings.Contains(srv.Heard(), word) {
			t.Errorf("%s was said in the clear", word)
		}
	}
}

func TestPasswordsNeverCrossInTheClear(t *testing.T) {
	for _, auth := range []settings.AuthMethod{settings.Plain, settings.Login, settings.XOAUTH2} {
		// The server is on the loopback, where go-mail would send a password in the clear.
		srv := smtptest.Start(t, smtptest.Options{Username: "user", Password: password, AuthInClear: true})
		conf := relayOf(srv)
		conf.change(func(c *settings.SMTP) { c.Auth, c.Username, c.Password = auth, "user", password })
		v, _ := try(t, emailsender.NewSender(t, options(), conf), deliveryTo(alice))
		want(t, v, delivery.Retry, reasons.Auth)
		if strings.Contains(srv.Heard(), "AUTH") {
			t.Errorf("%s was begun in the clear", auth)
		}
	}
	srv := smtptest.Start(t, smtptest.Options{Username: "user", Password: password, AuthInClear: true})
	conf := relayOf(srv)
	conf.change(func(c *settings.SMTP) { c.Auth, c.Username, c.Password = settings.CRAMMD5, "user", password })
	v, _ := try(t, emailsender.NewSender(t, options(), conf), deliveryTo(alice))
	want(t, v, delivery.Delivered, reasons.OK)
}

func TestAMechanismThatIsNotOfferedIsNotTried(t *testing.T) {
	ca := smtptest.NewCA(t)
	srv := smtptest.Start(t, smtptest.Options{Certificate: ca.Issue(t, "127.0.0.1"), Username: "user", Password: password,
		Mechanisms: []string{"LOGIN"}})
	conf := relayOf(srv)
	conf.change(func(c *settings.SMTP) {
		c.Encryption, c.Auth, c.Username, c.Password, c.CAPEM = settings.STARTTLS, settings.Plain, "user", password, ca.PEM
	})
	v, _ := try(t, emailsender.NewSender(t, options(), conf), deliveryTo(alice))
	want(t, v, delivery.Retry, reasons.Auth)
	if !strings.Contains(v.Detail, "does not offer authentication with PLAIN") {
		t.Errorf("detail %q", v.Detail)
	}
}

func TestARelayThatCanNotProveItselfGetsNothing(t *testing.T) {
	ca, other := smtptest.NewCA(t), smtptest.NewCA(t)
	for name, c := range map[string]struct{ host, roots string }{
		"wrong CA": {"127.0.0.1", other.PEM}, "wrong name": {"relay.example.com", ca.PEM}, "no roots": {"127.0.0.1", "nonsense"},
		"system roots": {"127.0.0.1", ""},
	} {
		for _, encryption := range []settings.Encryption{settings.STARTTLS, settings.TLS} {
			srv := smtptest.Start(t, smtptest.Options{Certificate: ca.Issue(t, c.host), Implicit: encryption == settings.TLS})
			conf := relayOf(srv)
			conf.change(func(s *settings.SMTP) { s.Encryption, s.CAPEM = encryption, c.roots })
			v, _ := try(t, emailsender.NewSender(t, options(), conf), deliveryTo(alice))
			if v.Kind != delivery.Retry || v.Reason != reasons.TLS {
				t.Errorf("%s, %s: %+v", name, encryption, v)
			}
			if len(srv.Mails()) != 0 {
				t.Errorf("%s, %s: a mail was sent", name, encryption)
			}
		}
	}
}
