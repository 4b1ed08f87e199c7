package emailsender_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/health"
	"github.com/outbound-events/outbound/pkg/recipient/credential"
	"github.com/outbound-events/outbound/pkg/secret"
	"github.com/outbound-events/outbound/pkg/smtptest"
	"github.com/outbound-events/outbound/pkg/waittest"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// row is a relay that misbehaves, and what is to be seen of it in its mails, in history and in the status.
type row struct {
	server  smtptest.Options
	smtp    func(*outboundv1.SmtpSettings)
	script  smtptest.Script
	timeout time.Duration

	// state, reason and detail are the record's while the relay misbehaves, line is how it stands.
	state  delivery.State
	reason reasons.Reason
	detail string
	line   string
	// got is who has how many mails then.
	got map[string]int
	// lost says that the relay can't be mended. Else it behaves from then on, and all is to end delivered, with after.
	lost  bool
	after map[string]int
	// same is how many mails there are with one Message-ID, those cut off counted; 0: not looked at.
	same int
}

func reply(code int, message string) *smtptest.Reply {
	return &smtptest.Reply{Code: code, Message: message}
}

// of makes a row of a fault that keeps all addresses waiting until it is mended.
func of(script smtptest.Script, reason reasons.Reason, detail, line string) row {
	return row{script: script, reason: reason, detail: detail, line: line}
}

// rows are the scripts by name. Those in the clear talk to the server as it is, the others encrypted or signed in.
func rows(t *testing.T) map[string]row {
	t.Helper()
	ca, stranger := smtptest.NewCA(t), smtptest.NewCA(t)
	encrypted := smtptest.Options{Certificate: ca.Issue(t, "127.0.0.1"), Username: "user", Password: password}
	starttls := func(p *outboundv1.SmtpSettings) {
		p.Encryption, p.CaCertificatePem = outboundv1.SmtpSettings_Encryption_STARTTLS, ca.PEM
	}
	signIn := func(p *outboundv1.SmtpSettings) {
		starttls(p)
		p.Auth, p.Username = outboundv1.SmtpSettings_Auth_PLAIN, "user"
	}
	within := func(r row, server smtptest.Options, smtp func(*outboundv1.SmtpSettings)) row {
		r.server, r.smtp = server, smtp
		return r
	}
	slow := func(r row) row {
		r.timeout = 500 * time.Millisecond
		return r
	}
	one := map[string]int{alice: 1, bob: 0}
	ok := health.RelayOK
	all := map[string]row{
		"banner 421": of(smtptest.Script{Banner: "421 busy"}, reasons.SMTPDeferred, "responded with 421 to the banner",
			"responded with 421 to the banner: busy"),
		"banner 554": of(smtptest.Script{Banner: "554 no service"}, reasons.SMTPRefused, "responded with 554 to the banner",
			"responded with 554 to the banner: no service"),
		"no SMTP": of(smtptest.Script{Banner: "HTTP/1.1 400 Bad Request"}, reasons.Protocol, "at the banner",
			"check that an SMTP server listens"),
		"slow banner": slow(of(smtptest.Script{BannerDelay: time.Hour}, reasons.Timeout, "at the banner",
			"did not respond in time at the banner")),
		"byte by byte":  slow(of(smtptest.Script{Drip: 50 * time.Millisecond}, reasons.Timeout, "i/o timeout", "did not respond in time at")),
		"endless reply": of(smtptest.Script{Endless: true}, reasons.Protocol, "response is too long", "response is too long"),
		"EHLO 451": of(smtptest.Script{Hello: reply(451, "wait")}, reasons.SMTPDeferred, "responded with 451 to EHLO",
			"responded with 451 to EHLO"),
		"EHLO 550": of(smtptest.Script{Hello: reply(550, "who?")}, reasons.SMTPRefused, "responded with 550 to EHLO",
			"responded with 550 to EHLO"),
		"MAIL 451": of(smtptest.Script{Mail: reply(451, "wait")}, reasons.SMTPDeferred, "responded with 451 to MAIL FROM",
			"responded with 451 to MAIL FROM"),
		"MAIL 550": of(smtptest.Script{Mail: reply(550, "not you")}, reasons.SMTPRefused, "responded with 550 to MAIL FROM",
			"responded with 550 to MAIL FROM: 5.0.0 not you"),
		"MAIL 530": of(smtptest.Script{Mail: reply(530, "sign in")}, reasons.Auth, "responded with 530 to MAIL FROM",
			"refused authentication: it responded with 530"),
		"MAIL cut": of(smtptest.Script{CutAtMail: true}, reasons.ConnectionCut, "at MAIL FROM", "closed the connection at MAIL FROM"),
		"DATA 452": of(smtptest.Script{DataCommand: reply(452, "full")}, reasons.ConnectionCut, "at MAIL FROM",
			"closed the connection at MAIL FROM"),
		"end 452": of(smtptest.Script{Data: reply(452, "full")}, reasons.SMTPDeferred,
			"2 will be retried (address 1: 452, address 2: 452)", ok),
		"end 421": of(smtptest.Script{Data: reply(421, "bye")}, reasons.SMTPDeferred, "responded with 421 to end of DATA",
			"responded with 421 to end of DATA"),
		"STARTTLS 454": within(of(smtptest.Script{StartTLS: reply(454, "no TLS now")}, reasons.TLS, "STARTTLS", "TLS with "),
			encrypted, starttls),
		"STARTTLS gone": within(of(smtptest.Script{HideSTARTTLS: true}, reasons.TLS, "does not offer STARTTLS", "does not offer STARTTLS"),
			encrypted, signIn),
		"AUTH 454": within(of(smtptest.Script{Auth: reply(454, "later")}, reasons.Auth, "responded with 454 to AUTH",
			"refused authentication: it responded with 454"), encrypted, signIn),
		"AUTH 535": within(of(smtptest.Script{Auth: reply(535, "wrong")}, reasons.Auth, "responded with 535 to AUTH",
			"refused authentication: it responded with 535"), encrypted, signIn),
		"greylisting": {script: smtptest.Script{Greylist: true}, state: delivery.StateDelivered, reason: reasons.OK,
			detail: "2 of 2 addresses accepted", line: ok,
			got: map[string]int{alice: 1, bob: 1}},
		"RCPT 451 for one": {script: smtptest.Script{Rcpt: map[string]*smtptest.Reply{bob: reply(451, "later")}}, reason: reasons.PartlyDelivered,
			detail: "1 of 2 addresses accepted, 1 will be retried (address 2: 451)", line: ok, got: one},
		"RCPT 421 for one": {script: smtptest.Script{Rcpt: map[string]*smtptest.Reply{bob: reply(421, "bye")}}, reason: reasons.PartlyDelivered,
			detail: "1 of 2 addresses accepted", line: "responded with 421 to RCPT TO", got: one},
		"RCPT 550 for one": {script: smtptest.Script{Rcpt: map[string]*smtptest.Reply{bob: reply(550, "no such user")}},
			state: delivery.StateDelivered, reason: reasons.PartlyDelivered,
			detail: "1 of 2 addresses accepted, 1 permanently refused (address 2: 550)", line: ok, got: one},
		"RCPT 550 and 451": {script: smtptest.Script{Rcpt: map[string]*smtptest.Reply{alice: reply(550, "no"), bob: reply(451, "later")}},
			reason: reasons.SMTPDeferred,
			detail: "0 of 2 addresses accepted, 1 permanently refused (address 1: 550), 1 will be retried (address 2: 451)", line: ok,
			after: map[string]int{alice: 0, bob: 1}},
		"RCPT 550 for all": {script: smtptest.Script{Rcpt: map[string]*smtptest.Reply{alice: reply(550, "no"), bob: reply(553, "no")}},
			state:  delivery.StateRejected,
			reason: reasons.SMTPRefused, detail: "2 permanently refused (address 1: 550, address 2: 553)", line: ok},
		"end 554 for one": {script: smtptest.Script{DataFor: map[string]*smtptest.Reply{alice: reply(554, "spam")}},
			state: delivery.StateDelivered, reason: reasons.PartlyDelivered,
			detail: "1 permanently refused (address 1: 554)", line: ok, got: map[string]int{alice: 0, bob: 1}},
		"cut after DATA": {script: smtptest.Script{CutAfterData: true, Times: 1}, state: delivery.StateDelivered, reason: reasons.OK,
			detail: "2 of 2", line: ok,
			got: map[string]int{alice: 1, bob: 1}, same: 2},
		"wrong name": {server: smtptest.Options{Certificate: ca.Issue(t, "relay.example.com")}, smtp: starttls, reason: reasons.TLS,
			detail: "certificate", line: "certificate", lost: true},
		"wrong CA": {server: smtptest.Options{Certificate: stranger.Issue(t, "127.0.0.1")}, smtp: starttls, reason: reasons.TLS,
			detail: "certificate",
			line:   "set caCertificatePem of the SMTP settings to its root certificate", lost: true},
	}
	return all
}

func TestWhatBecomesOfMailsWhenTheRelayMisbehaves(t *testing.T) {
	for name, r := range rows(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r.play(t)
		})
	}
}

func (r row) play(t *testing.T) {
	if r.state == "" {
		r.state = delivery.StateRetrying
	}
	srv := smtptest.Start(t, r.server)
	srv.Play(r.script)
	w := fixture{seen: make(watcher, 1000), options: options()}
	if r.timeout > 0 {
		w.options.Timeout = r.timeout
	}
	w.options.StatusTick = 10 * time.Millisecond
	var err error
	if w.sealer, err = secret.LoadOrCreateKey(filepath.Join(t.TempDir(), "seal.key")); err != nil {
		t.Fatal(err)
	}
	w.adapt = func(c *configService) {
		if r.smtp != nil {
			r.smtp(c.settings.GetSmtp())
		}
		if c.settings.SealedSmtpPassword, err = w.sealer.Seal([]byte(password), credential.SecretSMTPPassword); err != nil {
			t.Fatal(err)
		}
	}
	conn := open(t, srv, w)
	publisher := bus.NewPublisher(conn)
	defer publisher.Close()
	e := event.Sample(event.Catalogue()[1], "appliance-1", "e-1", time.Now(), nil)
	if _, err := publisher.Accept(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	rec := record(t, conn, e, func(rec delivery.Record) bool { return rec.State == r.state })
	if rec.Reason != r.reason || !strings.Contains(rec.Detail, r.detail) {
		t.Errorf("recorded %s %s: %s, want %s: %s", rec.State, rec.Reason, rec.Detail, r.reason, r.detail)
	}
	stands(t, conn, r.line)
	counts(t, srv, orNone(r.got))
	r.mend(t, srv, conn, e)
	if strings.Contains(rec.Detail+string(rec.Progress)+string(rec.Excerpt), "example.org") ||
		strings.Contains(rec.Detail+string(rec.Excerpt), password) {
		t.Errorf("an address or a secret stands in the record: %+v", rec)
	}
	if n := most(srv); r.same != 0 && n != r.same {
		t.Errorf("one Message-ID came %d times, want %d", n, r.same)
	}
}

// mend lets the relay behave, and looks at what becomes of the delivery then.
func (r row) mend(t *testing.T, srv *smtptest.Server, conn *bus.Conn, e *event.Event) {
	t.Helper()
	if r.lost || r.state.Final() {
		return
	}
	srv.Play(smtptest.Script{})
	rec := record(t, conn, e, func(rec delivery.Record) bool { return rec.State.Final() })
	if rec.State != delivery.StateDelivered || rec.Attempt < 2 {
		t.Errorf("mended, it ended in %s %s after %d attempts", rec.State, rec.Reason, rec.Attempt)
	}
	stands(t, conn, health.RelayOK)
	if r.after == nil {
		r.after = map[string]int{alice: 1, bob: 1}
	}
	counts(t, srv, r.after)
}

func orNone(got map[string]int) map[string]int {
	if got == nil {
		return map[string]int{alice: 0, bob: 0}
	}
	return got
}

// most is how often the Message-ID came that came most often, answered or not.
func most(srv *smtptest.Server) int {
	n, times := 0, map[string]int{}
	for _, m := range srv.Mails() {
		times[m.Header.Get("Message-Id")]++
		n = max(n, times[m.Header.Get("Message-Id")])
	}
	return n
}

// record waits for a record of the delivery.
func record(t *testing.T, conn *bus.Conn, e *event.Event, is func(delivery.Record) bool) delivery.Record {
	t.Helper()
	history := deliverylog.New(conn)
	defer history.Close()
	var rec delivery.Record
	waittest.NoError(t, "a record of the delivery", func() (err error) {
		var at uint64
		if rec, at, err = history.Latest(t.Context(), "ops", e, ""); err == nil && (at == 0 || !is(rec)) {
			err = fmt.Errorf("the last is %s %s: %s", rec.State, rec.Reason, rec.Detail)
		}
		return err
	})
	return rec
}

// stands waits until the relay's line is as wanted.
func stands(t *testing.T, conn *bus.Conn, line string) health.Relay {
	t.Helper()
	var r health.Relay
	waittest.NoError(t, fmt.Sprintf("the relay to stand as %q", line), func() (err error) {
		r, _, err = control.NewHealthStore(conn).Relay(t.Context())
		if err == nil && r.Line != line && (line == health.RelayOK || !strings.Contains(r.Line, line)) {
			err = fmt.Errorf("it stands as %q", r.Line)
		}
		return err
	})
	if (r.Line == health.RelayOK) != r.Since.IsZero() || r.Checked.IsZero() || strings.ContainsAny(r.Line, "\r\n") ||
		strings.Contains(r.Line, "example.org") {
		t.Errorf("the relay stands as %+v", r)
	}
	return r
}
