package emailsender_test

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/porttest"
	"github.com/outbound-events/outbound/pkg/settings"
	"github.com/outbound-events/outbound/pkg/smtptest"
	"github.com/outbound-events/outbound/services/emailsender"
)

const (
	alice = "alice@example.org"
	bob   = "bob@example.org"
	carol = "carol@example.org"
)

func TestEachAddressGetsItsOwnMailInOneConnection(t *testing.T) {
	srv := smtptest.Start(t, smtptest.Options{})
	s := emailsender.NewSender(t, options(), relayOf(srv))
	v, o := try(t, s, deliveryTo(alice, bob, carol))
	want(t, v, delivery.Delivered, reasons.OK)
	if o.Status != 250 || o.Fault != delivery.FaultNone || o.Took <= 0 {
		t.Errorf("outcome %+v", o)
	}
	counts(t, srv, map[string]int{alice: 1, bob: 1, carol: 1})
	if n := srv.Connections(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
	for _, m := range srv.Mails() {
		if len(m.To) != 1 || m.From != "outbound@example.com" || m.Header.Get("To") != "<"+m.To[0]+">" {
			t.Errorf("mail from %s to %v with To %q", m.From, m.To, m.Header.Get("To"))
		}
	}
}

func TestRepliesAreJudgedAtEachStage(t *testing.T) {
	deferred, refused, hangUp, auth := &smtptest.Reply{Code: 451, Message: "try later"}, &smtptest.Reply{Code: 550, Message: "no"},
		&smtptest.Reply{Code: 421, Message: "bye"}, &smtptest.Reply{Code: 530, Message: "sign in first"}
	for name, c := range map[string]struct {
		script smtptest.Script
		kind   delivery.VerdictKind
		reason reasons.Reason
		status int
	}{
		"banner 554": {smtptest.Script{Banner: "554 no service"}, delivery.Retry, reasons.SMTPRefused, 554},
		"banner 421": {smtptest.Script{Banner: "421 busy"}, delivery.Retry, reasons.SMTPDeferred, 421},
		"no banner":  {smtptest.Script{Banner: "hello?"}, delivery.Retry, reasons.Protocol, 0},
		"MAIL 451":   {smtptest.Script{Mail: deferred}, delivery.Retry, reasons.SMTPDeferred, 451},
		"MAIL 550":   {smtptest.Script{Mail: refused}, delivery.Retry, reasons.SMTPRefused, 550},
		"MAIL 421":   {smtptest.Script{Mail: hangUp}, delivery.Retry, reasons.SMTPDeferred, 421},
		"MAIL 530":   {smtptest.Script{Mail: auth}, delivery.Retry, reasons.Auth, 530},
		"MAIL cut":   {smtptest.Script{CutAtMail: true}, delivery.Retry, reasons.ConnectionCut, 0},
		"RCPT 451":   {smtptest.Script{Rcpt: map[string]*smtptest.Reply{alice: deferred}}, delivery.Retry, reasons.SMTPDeferred, 451},
		"RCPT 550":   {smtptest.Script{Rcpt: map[string]*smtptest.Reply{alice: refused}}, delivery.Drop, reasons.SMTPRefused, 550},
		"RCPT 421":   {smtptest.Script{Rcpt: map[string]*smtptest.Reply{alice: hangUp}}, delivery.Retry, reasons.SMTPDeferred, 421},
		"DATA 451":   {smtptest.Script{Data: deferred}, delivery.Retry, reasons.SMTPDeferred, 451},
		"DATA 554":   {smtptest.Script{Data: &smtptest.Reply{Code: 554, Message: "spam"}}, delivery.Drop, reasons.SMTPRefused, 554},
		"DATA 421":   {smtptest.Script{Data: hangUp}, delivery.Retry, reasons.SMTPDeferred, 421},
		"DATA cut":   {smtptest.Script{CutAfterData: true}, delivery.Retry, reasons.ConnectionCut, 0},
	} {
		t.Run(name, func(t *testing.T) {
			srv := smtptest.Start(t, smtptest.Options{})
			srv.Play(c.script)
			s := emailsender.NewSender(t, options(), relayOf(srv))
			d := deliveryTo(alice)
			v, o := try(t, s, d)
			want(t, v, c.kind, c.reason)
			if o.Status != c.status {
				t.Errorf("status %d, want %d (%s)", o.Status, c.status, o.Detail)
			}
			counts(t, srv, map[string]int{alice: 0})
			if v.Kind != delivery.Retry {
				return
			}
			srv.Play(smtptest.Script{})
			v, _ = try(t, s, d)
			want(t, v, delivery.Delivered, reasons.OK)
			counts(t, srv, map[string]int{alice: 1})
		})
	}
}

func TestARetryMailsOnlyThoseThatAreLeft(t *testing.T) {
	srv := smtptest.Start(t, smtptest.Options{})
	srv.Play(smtptest.Script{Rcpt: map[string]*smtptest.Reply{
		bob: {Code: 451, Message: "greylisted, <bob@example.org>"}, carol: {Code: 550, Message: "no such user carol@example.org"},
	}})
	s := emailsender.NewSender(t, options(), relayOf(srv))
	d := deliveryTo(alice, bob, carol)
	v, o := try(t, s, d)
	want(t, v, delivery.Retry, reasons.PartlyDelivered)
	if o.Status != 451 || v.Detail != "1 of 3 addresses accepted, 1 permanently refused (address 3: 550), 1 will be retried (address 2: 451)" {
		t.Errorf("status %d, detail %q", o.Status, v.Detail)
	}
	for _, text := range []string{o.Detail, v.Detail, string(o.Excerpt), string(o.Progress)} {
		if strings.Contains(text, "example.org") {
			t.Errorf("an address of a person stands in %q", text)
		}
	}
	if !strings.Contains(string(o.Excerpt), "RCPT TO: 451 4.0.0 greylisted") {
		t.Errorf("excerpt %q", o.Excerpt)
	}
	srv.Play(smtptest.Script{})
	v, _ = try(t, s, d)
	want(t, v, delivery.Delivered, reasons.PartlyDelivered)
	if v.Detail != "2 of 3 addresses accepted, 1 permanently refused (address 3: 550)" {
		t.Errorf("detail %q", v.Detail)
	}
	counts(t, srv, map[string]int{alice: 1, bob: 1, carol: 0})
}

func TestAFaultInTheMiddleKeepsWhatWasDone(t *testing.T) {
	srv := smtptest.Start(t, smtptest.Options{})
	srv.Play(smtptest.Script{Rcpt: map[string]*smtptest.Reply{bob: {Code: 421, Message: "bye"}}})
	s := emailsender.NewSender(t, options(), relayOf(srv))
	d := deliveryTo(alice, bob, carol)
	v, _ := try(t, s, d)
	want(t, v, delivery.Retry, reasons.PartlyDelivered)
	counts(t, srv, map[string]int{alice: 1, bob: 0, carol: 0})
	srv.Close()
	v, _ = try(t, s, d)
	want(t, v, delivery.Retry, reasons.Connect)

	again := smtptest.Start(t, smtptest.Options{})
	v, _ = try(t, emailsender.NewSender(t, options(), relayOf(again)), d)
	want(t, v, delivery.Delivered, reasons.OK)
	counts(t, again, map[string]int{alice: 0, bob: 1, carol: 1})
}

// TestAnAddressThatEndsTheConnectionHoldsNoOtherBack has the relay hang up whenever it is asked about the first address.
func TestAnAddressThatEndsTheConnectionHoldsNoOtherBack(t *testing.T) {
	srv := smtptest.Start(t, smtptest.Options{})
	srv.Play(smtptest.Script{Rcpt: map[string]*smtptest.Reply{alice: {Code: 421, Message: "bye"}}})
	s := emailsender.NewSender(t, options(), relayOf(srv))
	d := deliveryTo(alice, bob, carol)
	for attempt := range 3 {
		if v, _ := try(t, s, d); v.Kind != delivery.Retry {
			t.Errorf("attempt %d: %+v", attempt+1, v)
		}
	}
	counts(t, srv, map[string]int{alice: 0, bob: 1, carol: 1})
}

func TestWhatTheRelayTookInAnAttemptIsNoted(t *testing.T) {
	srv := smtptest.Start(t, smtptest.Options{})
	srv.Play(smtptest.Script{Rcpt: map[string]*smtptest.Reply{alice: {Code: 452, Message: "mailbox full"}}})
	s := emailsender.NewSender(t, options(), relayOf(srv))
	d := deliveryTo(alice, bob)
	for attempt, accepted := range []bool{true, false} {
		v, o := try(t, s, d)
		want(t, v, delivery.Retry, reasons.PartlyDelivered)
		if o.Accepted != accepted {
			t.Errorf("attempt %d: accepted is %t, want %t", attempt+1, o.Accepted, accepted)
		}
	}
}

func TestAllRefusedIsRejected(t *testing.T) {
	srv := smtptest.Start(t, smtptest.Options{})
	srv.Play(smtptest.Script{Rcpt: map[string]*smtptest.Reply{alice: {Code: 550, Message: "no"}, bob: {Code: 553, Message: "no"}}})
	v, _ := try(t, emailsender.NewSender(t, options(), relayOf(srv)), deliveryTo(alice, bob))
	want(t, v, delivery.Drop, reasons.SMTPRefused)
}

func TestAMailThatIsCutAfterItsDataComesAgainAsTheSameMail(t *testing.T) {
	srv := smtptest.Start(t, smtptest.Options{})
	srv.Play(smtptest.Script{CutAfterData: true, Times: 1})
	s := emailsender.NewSender(t, options(), relayOf(srv))
	d := deliveryTo(alice)
	v, _ := try(t, s, d)
	want(t, v, delivery.Retry, reasons.ConnectionCut)
	v, _ = try(t, s, d)
	want(t, v, delivery.Delivered, reasons.OK)
	mails := srv.Mails()
	if len(mails) != 2 || mails[0].Header.Get("Message-Id") == "" || !bytes.Equal(undated(mails[0]), undated(mails[1])) {
		t.Fatalf("want the same mail twice, got %d", len(mails))
	}
}

// undated is a mail without its date, which is that of the attempt.
func undated(m smtptest.Mail) []byte {
	return bytes.Replace(m.Raw, []byte("Date: "+m.Header.Get("Date")+"\r\n"), nil, 1)
}

func TestConnectionsAreUsedAgain(t *testing.T) {
	srv := smtptest.Start(t, smtptest.Options{})
	conf := relayOf(srv)
	s := emailsender.NewSender(t, options(), conf)
	mail := func() {
		t.Helper()
		v, _ := try(t, s, deliveryTo(alice))
		want(t, v, delivery.Delivered, reasons.OK)
	}
	mail()
	mail()
	if n := srv.Connections(); n != 1 {
		t.Errorf("%d connections after two mails, want 1", n)
	}
	srv.Cut()
	mail()
	if n := srv.Connections(); n != 2 {
		t.Errorf("%d connections after the relay cut the idle one, want 2", n)
	}
	conf.change(func(c *settings.SMTP) { c.Host = "localhost" })
	emailsender.SettingsChanged(s)
	mail()
	if n := srv.Connections(); n != 3 {
		t.Errorf("%d connections after the settings changed, want 3", n)
	}
	counts(t, srv, map[string]int{alice: 4})
}

func TestAnIdleConnectionIsClosed(t *testing.T) {
	srv := smtptest.Start(t, smtptest.Options{})
	o := options()
	o.IdleTimeout = 20 * time.Millisecond
	s := emailsender.NewSender(t, o, relayOf(srv))
	try(t, s, deliveryTo(alice))
	srv.AwaitOpen(t, 0)
}

func TestRelayUnsetIsRetried(t *testing.T) {
	srv := smtptest.Start(t, smtptest.Options{})
	for name, change := range map[string]func(*settings.SMTP){
		"host": func(c *settings.SMTP) { c.Host = "" },
		"from": func(c *settings.SMTP) { c.FromAddress = "" },
	} {
		conf := relayOf(srv)
		conf.change(change)
		v, _ := try(t, emailsender.NewSender(t, options(), conf), deliveryTo(alice))
		if want(t, v, delivery.Retry, reasons.RelayUnset); srv.Connections() != 0 {
			t.Errorf("without a %s there was a connection", name)
		}
	}
}

func TestAnAddressThatIsNoneIsRefusedAlone(t *testing.T) {
	srv := smtptest.Start(t, smtptest.Options{})
	bad := []string{`"x y> ORCPT=q <z"@h.com`, "a@[127.0.0.1]", "Bob <bob@example.org>", "a@b@c", "x", "a\r\nDATA@example.org",
		"a@exa mple.org"}
	v, _ := try(t, emailsender.NewSender(t, options(), relayOf(srv)), deliveryTo(append(bad, alice)...))
	want(t, v, delivery.Delivered, reasons.PartlyDelivered)
	if got := srv.Mails(); len(got) != 1 || !slices.Equal(got[0].To, []string{alice}) {
		t.Errorf("%d mails", len(got))
	}
}

func TestTimeouts(t *testing.T) {
	srv := smtptest.Start(t, smtptest.Options{})
	hold := make(chan struct{})
	t.Cleanup(func() { close(hold) })
	for name, script := range map[string]smtptest.Script{
		"banner": {BannerDelay: time.Hour}, "data": {Hold: hold},
	} {
		srv.Play(script)
		o := options()
		o.Timeout = 100 * time.Millisecond
		v, _ := try(t, emailsender.NewSender(t, o, relayOf(srv)), deliveryTo(alice))
		if v.Kind != delivery.Retry || v.Reason != reasons.Timeout {
			t.Errorf("%s: %+v", name, v)
		}
	}
}

func TestShutdownBeforeAMailIsPostponedAndInTheMiddleOfItIsNot(t *testing.T) {
	srv := smtptest.Start(t, smtptest.Options{})
	s := emailsender.NewSender(t, options(), relayOf(srv))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	d := deliveryTo(alice)
	want(t, s.Judge(d, s.Send(ctx, d)), delivery.Postpone, reasons.Shutdown)

	hold := make(chan struct{})
	srv.Play(smtptest.Script{Hold: hold})
	ctx, cancel = context.WithCancel(t.Context())
	held := srv.Holding()
	go func() {
		<-held
		cancel()
	}()
	want(t, s.Judge(d, s.Send(ctx, d)), delivery.Retry, reasons.ConnectionCut)
	close(hold)
}

func TestNobodyListens(t *testing.T) {
	port := porttest.Port(t)
	srv := smtptest.Start(t, smtptest.Options{})
	conf := relayOf(srv)
	conf.change(func(c *settings.SMTP) { c.Port = port })
	v, _ := try(t, emailsender.NewSender(t, options(), conf), deliveryTo(alice))
	want(t, v, delivery.Retry, reasons.Connect)
	conf.change(func(c *settings.SMTP) { c.Host = "relay.invalid" })
	v, _ = try(t, emailsender.NewSender(t, options(), conf), deliveryTo(alice))
	want(t, v, delivery.Retry, reasons.DNS)
}
