package emailsender_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/settings"
	"github.com/outbound-events/outbound/pkg/smtptest"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/emailsender"
)

// senderTo is a sender to a peer in the clear.
func senderTo(t *testing.T, peer *smtptest.Peer) delivery.Sender {
	t.Helper()
	return emailsender.NewSender(t, options(), relayOf(peer))
}

// limits are the ways in which relays say that a connection carries no more: to a command, once so many mails were taken.
func limits() map[string]struct{ verb, answer string } {
	return map[string]struct{ verb, answer string }{
		"452 to MAIL":       {"MAIL", "452 4.5.3 Too many messages on this connection"},
		"452 without code":  {"MAIL", "452 too many messages"},
		"450 to MAIL":       {"MAIL", "450 4.7.1 too much mail on this connection"},
		"450 to RCPT":       {"RCPT", "450 try again later"},
		"451 to RCPT":       {"RCPT", "451 4.7.1 too many recipients on this connection"},
		"452 to DATA":       {"DATA", "452 4.3.2 enough"},
		"452 at end":        {".", "452 4.4.5 enough"},
		"421 to MAIL":       {"MAIL", "421 4.7.0 too many messages in this connection" + smtptest.HangUp},
		"421 to RCPT":       {"RCPT", "421 4.7.0 bye" + smtptest.HangUp},
		"421 at end":        {".", "421 4.4.2 bye" + smtptest.HangUp},
		"503 to MAIL":       {"MAIL", "503 5.5.1 one mail only"},
		"550 to MAIL":       {"MAIL", "550 5.7.0 session limit"},
		"closed at MAIL":    {"MAIL", smtptest.HangUp},
		"closed at RSET":    {"RSET", smtptest.HangUp},
		"closed at RCPT":    {"RCPT", smtptest.HangUp},
		"RSET 503":          {"RSET", "503 5.5.1 bad sequence"},
		"RSET 421":          {"RSET", "421 4.4.2 timeout" + smtptest.HangUp},
		"503 without codes": {"RCPT", "503 need MAIL"},
	}
}

func TestAConnectionThatCarriesNoMoreIsReplacedAtOnce(t *testing.T) {
	const carries, mails = 5, 20
	for name, c := range limits() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			peer := smtptest.StartPeer(t, smtptest.PeerScript{Answer: func(q smtptest.Command) string {
				if q.Verb == c.verb && q.Taken >= carries {
					return c.answer
				}
				return ""
			}})
			s := senderTo(t, peer)
			for i := range mails / 2 {
				d := deliveryTo(alice, bob)
				d.Event.ID = fmt.Sprint("e-", i)
				v, _ := try(t, s, d)
				want(t, v, delivery.Delivered, reasons.OK)
			}
			peerCounts(t, peer, map[string]int{alice: mails / 2, bob: mails / 2})
			if n := peer.Connections(); n != mails/carries {
				t.Errorf("%d connections for %d mails, want %d", n, mails, mails/carries)
			}
		})
	}
}

// TestABacklogGoesThroughConnectionsThatAreLimited counts what becomes of many events at a relay that takes few mails over a connection.
func TestABacklogGoesThroughConnectionsThatAreLimited(t *testing.T) {
	const events = 30
	peer := smtptest.StartPeer(t, smtptest.PeerScript{Answer: func(q smtptest.Command) string {
		if q.Verb == "MAIL" && q.Taken >= 7 {
			return "452 4.5.3 Too many messages on this connection"
		}
		return ""
	}})
	w := fixture{seen: make(watcher, 1000), options: options()}
	conn := open(t, peer, w)
	for i := range events {
		accept(t, conn, fmt.Sprint("e-", i))
	}
	for range events {
		r := w.seen.next(t)
		want(t, r.Verdict, delivery.Delivered, reasons.OK)
		if r.Delivery.Attempt != 1 || r.BreakerOpen {
			t.Errorf("%s: attempt %d, breaker open: %t", r.Delivery.Event.ID, r.Delivery.Attempt, r.BreakerOpen)
		}
	}
	peerCounts(t, peer, map[string]int{alice: events, bob: events})
}

// TestAMailThatMayBeTakenIsNotSentAgainAtOnce has the relay close the connection at the end of the data, when it may have the mail.
func TestAMailThatMayBeTakenIsNotSentAgainAtOnce(t *testing.T) {
	peer := smtptest.StartPeer(t, smtptest.PeerScript{Answer: func(q smtptest.Command) string {
		if q.Verb == "." && q.Taken >= 1 {
			return smtptest.HangUp
		}
		return ""
	}})
	v, _ := try(t, senderTo(t, peer), deliveryTo(alice, bob))
	want(t, v, delivery.Retry, reasons.ConnectionCut)
	ends := 0
	for _, c := range peer.Heard() {
		if c.Verb == "." {
			ends++
		}
	}
	if ends != 2 {
		t.Errorf("%d mails were handed over, want 2", ends)
	}
}

// TestKeywordsAreReadInAnyCase has relays write their offers as they like.
func TestKeywordsAreReadInAnyCase(t *testing.T) {
	ca := smtptest.NewCA(t)
	for name, c := range map[string]struct {
		hello []string
		auth  settings.AuthMethod
	}{
		"lower case":            {[]string{"250-peer", "250-starttls", "250 auth plain login"}, settings.Plain},
		"mixed":                 {[]string{"250-peer", "250-StartTls", "250-Size 1000", "250 Auth Login"}, settings.Login},
		"AUTH=":                 {[]string{"250-peer", "250-STARTTLS", "250 AUTH=LOGIN PLAIN"}, settings.Plain},
		"auth= alone":           {[]string{"250-peer", "250-STARTTLS", "250 auth=login"}, settings.Login},
		"both forms":            {[]string{"250-peer", "250-STARTTLS", "250-AUTH PLAIN", "250 AUTH=LOGIN"}, settings.Login},
		"blanks and tabs":       {[]string{"250-peer", "250-", "250-  STARTTLS  ", "250\tAUTH\tPLAIN"}, settings.Plain},
		"no text in the end":    {[]string{"250-peer", "250-STARTTLS", "250-AUTH PLAIN", "250"}, settings.Plain},
		"a line without a code": {[]string{"250-peer", "welcome to peer", "250-STARTTLS", "250 AUTH PLAIN"}, settings.Plain},
	} {
		t.Run(name, func(t *testing.T) {
			peer := smtptest.StartPeer(t, smtptest.PeerScript{Hello: c.hello, Certificate: ca.Issue(t, "127.0.0.1")})
			conf := relayOf(peer)
			conf.change(func(p *settings.SMTP) {
				p.Encryption, p.CAPEM, p.Auth, p.Username, p.Password = settings.STARTTLS, ca.PEM, c.auth, "user", password
			})
			v, _ := try(t, emailsender.NewSender(t, options(), conf), deliveryTo(alice))
			want(t, v, delivery.Delivered, reasons.OK)
			if m := peer.Mails(); len(m) != 1 || !m[0].TLS {
				t.Errorf("%d mails, want one, encrypted", len(m))
			}
		})
	}
}

// TestARelayIsQuotedWhereItIsNotWhatWasConfigured looks for the relay's own words.
func TestARelayIsQuotedWhereItIsNotWhatWasConfigured(t *testing.T) {
	ca := smtptest.NewCA(t)
	cert := ca.Issue(t, "127.0.0.1")
	encrypted := func(p *outboundv1.SmtpSettings) {
		p.Encryption, p.CaCertificatePem = outboundv1.SmtpSettings_Encryption_STARTTLS, ca.PEM
	}
	signIn := func(p *outboundv1.SmtpSettings) {
		encrypted(p)
		p.Auth, p.Username = outboundv1.SmtpSettings_Auth_PLAIN, "user"
	}
	tls := func(p *outboundv1.SmtpSettings) { p.Encryption = outboundv1.SmtpSettings_Encryption_TLS }
	for name, c := range map[string]struct {
		script smtptest.PeerScript
		adapt  func(*outboundv1.SmtpSettings)
		line   string
	}{
		"no STARTTLS": {smtptest.PeerScript{Hello: []string{"250-peer", "250-SIZE", "250 auth login"}}, encrypted,
			"does not offer STARTTLS, so nothing was sent: it offers AUTH LOGIN, SIZE"},
		"HELO only": {smtptest.PeerScript{Answer: func(c smtptest.Command) string {
			if c.Verb == "EHLO" {
				return "500 what?"
			}
			return ""
		}}, encrypted, "it answers HELO only"},
		"another method": {smtptest.PeerScript{Hello: []string{"250-peer", "250-STARTTLS", "250 AUTH LOGIN CRAM-MD5"}, Certificate: cert}, signIn,
			"does not offer authentication with PLAIN but with LOGIN, CRAM-MD5"},
		"no AUTH": {smtptest.PeerScript{Hello: []string{"250-peer", "250 STARTTLS"}, Certificate: cert}, signIn,
			"does not offer authentication with PLAIN: it offers STARTTLS"},
		"SSH":  {smtptest.PeerScript{Banner: "SSH-2.0-OpenSSH_9.2" + smtptest.HangUp}, encrypted, `at the banner ("SSH-2.0-OpenSSH_9.2")`},
		"IMAP": {smtptest.PeerScript{Banner: "* OK IMAP4rev1 ready"}, encrypted, `"* OK IMAP4rev1 ready"`},
		"TLS to a plain port": {smtptest.PeerScript{}, tls,
			`does not speak TLS from the first byte but says "220 p": set encryption to STARTTLS`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			peer := smtptest.StartPeer(t, c.script)
			w := fixture{seen: make(watcher, 1000), options: options(), sealer: sealer(t)}
			w.options.StatusTick = 10 * time.Millisecond
			w.adapt = func(f *configService) {
				c.adapt(f.settings.GetSmtp())
				f.settings.SealedSmtpPassword = sealed(t, w.sealer)
			}
			conn := open(t, peer, w)
			if r := stands(t, conn, c.line); strings.Contains(r.Line, password) {
				t.Errorf("a password stands in %q", r.Line)
			}
		})
	}
}
