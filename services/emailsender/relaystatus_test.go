package emailsender_test

import (
	"crypto/x509"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bustest"
	"github.com/outbound-events/outbound/pkg/health"
	"github.com/outbound-events/outbound/pkg/smtptest"
	"github.com/outbound-events/outbound/pkg/waittest"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// eager are options that look often.
func eager() fixture {
	w := fixture{seen: make(watcher, 100), options: options()}
	w.options.StatusTick = 5 * time.Millisecond
	w.options.ProbeEvery = 50 * time.Millisecond
	return w
}

func TestTheRelayIsProbedWhenNoMailGoes(t *testing.T) {
	ca := smtptest.NewCA(t)
	issued := ca.Issue(t, "127.0.0.1")
	srv := smtptest.Start(t, smtptest.Options{Certificate: issued, Username: "user", Password: ""})
	w := eager()
	w.adapt = func(c *configService) {
		p := c.settings.GetSmtp()
		p.Encryption, p.CaCertificatePem = outboundv1.SmtpSettings_Encryption_STARTTLS, ca.PEM
		p.Auth, p.Username = outboundv1.SmtpSettings_Auth_PLAIN, "user"
	}
	conn := open(t, srv, w)
	first := stands(t, conn, health.RelayOK)
	if !first.Accepted.IsZero() || first.Etag != "1" {
		t.Errorf("probed: %+v", first)
	}
	if leaf, err := x509.ParseCertificate(issued.Certificate[0]); err != nil || first.Certificate == nil ||
		!first.Certificate.Until.Equal(leaf.NotAfter) || first.Certificate.Subject != leaf.Subject.String() {
		t.Errorf("the relay's certificate is %+v", first.Certificate)
	}
	srv.Play(smtptest.Script{Auth: reply(535, "no")})
	failing := stands(t, conn, "responded with 535 to AUTH")
	srv.Play(smtptest.Script{})
	again := stands(t, conn, health.RelayOK)
	if !failing.Checked.After(first.Checked) || !again.Checked.After(failing.Checked) {
		t.Errorf("checked %s, %s, %s", first.Checked, failing.Checked, again.Checked)
	}
	srv.Close()
	stands(t, conn, "can't connect to")
	if len(srv.Mails()) != 0 {
		t.Error("a probe sent a mail")
	}
}

func TestOneOfSeveralSendersProbes(t *testing.T) {
	srv := smtptest.Start(t, smtptest.Options{})
	w := eager()
	w.options.ProbeEvery = time.Hour
	w.conn = bustest.Start(t).Conn()
	for range 3 {
		open(t, srv, w)
	}
	stands(t, w.conn, health.RelayOK)
	// Each has looked by the time that all answer questions, and looks again at every tick.
	ctx, cancel := waittest.Context(t.Context())
	defer cancel()
	for range 30 {
		_, err := control.New(w.conn).AskTestMail(ctx, control.TestMailQuestion{To: []string{"no address"}, Etag: "1"})
		if err != nil && !errors.Is(err, control.ErrNobody) {
			t.Fatal(err)
		}
	}
	if n := srv.Connections(); n != 1 {
		t.Errorf("three senders probed %d times in an hour, want once", n)
	}
}

func TestTestMailsAreSentAtOnceAndAnsweredByAddress(t *testing.T) {
	srv := smtptest.Start(t, smtptest.Options{})
	srv.Play(smtptest.Script{Rcpt: map[string]*smtptest.Reply{bob: reply(550, "no such user")}})
	conn := open(t, srv, eager())
	ctx, cancel := waittest.Context(t.Context())
	defer cancel()
	ask := func(q control.TestMailQuestion) (got []control.TestMailResult, err error) {
		got, err = control.New(conn).AskTestMail(ctx, q)
		for errors.Is(err, control.ErrNobody) && ctx.Err() == nil { // it has only begun to listen
			got, err = control.New(conn).AskTestMail(ctx, q)
		}
		return got, err
	}
	got, err := ask(control.TestMailQuestion{To: []string{alice, bob, "a@[127.0.0.1]"}, Actor: "admin", Etag: "1"})
	if err != nil || len(got) != 3 {
		t.Fatalf("%v, %v", got, err)
	}
	if got[0] != (control.TestMailResult{Address: alice, Accepted: true, Code: 250, Detail: "accepted by the relay"}) {
		t.Errorf("to the first: %+v", got[0])
	}
	if got[1].Accepted || got[1].Code != 550 || got[1].Detail != "the relay responded with 550 to RCPT TO: 5.0.0 no such user" {
		t.Errorf("to the second: %+v", got[1])
	}
	if got[2].Accepted || got[2].Code != 0 || got[2].Detail == "" {
		t.Errorf("to what is no address: %+v", got[2])
	}
	counts(t, srv, map[string]int{alice: 1, bob: 0})
	m := srv.Mails()[0]
	if m.Header.Get("Subject") != "[test] Outbound can send email" || m.Header.Get("Auto-Submitted") != "auto-generated" ||
		!strings.Contains(string(m.Body), "requested by admin") {
		t.Errorf("the mail is %s", m.Raw)
	}
	if again, err := ask(control.TestMailQuestion{To: []string{alice}, Etag: "1"}); err != nil || !again[0].Accepted ||
		srv.Mails()[1].Header.Get("Message-Id") == m.Header.Get("Message-Id") {
		t.Errorf("asked again: %v, %v", again, err)
	}
	if _, err := ask(control.TestMailQuestion{To: []string{alice}, Etag: "unknown"}); err == nil ||
		!strings.Contains(err.Error(), "does not have the current SMTP settings") {
		t.Errorf("with settings that are not known: %v", err)
	}
	srv.Close()
	if got, err := ask(control.TestMailQuestion{To: []string{alice}, Etag: "1"}); err != nil || got[0].Accepted ||
		!strings.Contains(got[0].Detail, "can't connect to") {
		t.Errorf("without a relay: %v, %v", got, err)
	}
}
