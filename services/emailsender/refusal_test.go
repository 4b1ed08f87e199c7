package emailsender_test

import (
	"strings"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/health"
	"github.com/outbound-events/outbound/pkg/smtptest"
)

// refusal is what a relay answers to one command, and what must come of it.
type refusal struct {
	// verb is the command; ".": the end of the data. To, if set, is the one address that is meant.
	verb, to, answer string
	// state and reason are the record's; RETRYING and smtp_refused if empty. Of RETRYING it is mended then, and all mails arrive once.
	state  delivery.State
	reason reasons.Reason
	// detail and line are parts of the record's detail and of the relay's line; the line is OK if empty.
	detail, line string
	// got is who has how many mails before it is mended.
	got map[string]int
}

// ours are refusals that are about us or the relay, by RFC 3463, or by RFC 5321 where they have no enhanced status code.
func ours() map[string]refusal {
	return map[string]refusal{
		"5.7.1 helo": {verb: "RCPT", answer: "554 5.7.1 <outbound>: Helo command rejected: You're not me",
			detail: "responded with 554 to RCPT TO: 5.7.1", line: "Helo command rejected"},
		"5.7.1 relay":        {verb: "RCPT", answer: "554 5.7.1 <a@b.example>: Relay access denied", line: "Relay access denied"},
		"5.7.1 relaying":     {verb: "RCPT", answer: "550 5.7.1 Relaying denied", line: "Relaying denied"},
		"5.7.1 blocked":      {verb: "RCPT", answer: "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked", line: "Client host"},
		"5.7.1 not owner":    {verb: "RCPT", answer: "553 5.7.1 Sender address rejected: not owned by user", line: "not owned by user"},
		"5.7.1 at DATA":      {verb: "DATA", answer: "554 5.7.1 not today", line: "554 to DATA"},
		"5.7.60 at end":      {verb: ".", answer: "550 5.7.60 SMTP; Client does not have permissions to send as this sender", line: "5.7.60"},
		"5.7.26 in lines":    {verb: ".", answer: "550-5.7.26 Unauthenticated email\r\n550 5.7.26 is not accepted", line: "5.7.26"},
		"5.1.8 sender":       {verb: "RCPT", answer: "550 5.1.8 Sender address rejected: Domain not found", line: "fromAddress"},
		"5.5.2 helo":         {verb: "RCPT", answer: "504 5.5.2 <outbound>: Helo command rejected: need FQDN", line: "need FQDN"},
		"5.3.5 system":       {verb: "RCPT", answer: "554 5.3.5 Local configuration error", line: "Local configuration error"},
		"Exim's relay":       {verb: "RCPT", answer: "550 relay not permitted", line: "relay not permitted"},
		"Exim's in lines":    {verb: "RCPT", answer: "550-Verification failed\r\n550 Sender verify failed", line: "Sender verify failed"},
		"qmail's rcpthosts":  {verb: "RCPT", answer: "553 sorry, not in my list of allowed rcpthosts (#5.7.1)", line: "rcpthosts"},
		"554 without a code": {verb: "RCPT", answer: "554 transaction failed", line: "transaction failed"},
		"503 without a code": {verb: "RCPT", answer: "503 valid RCPT command must precede DATA", line: "503"},
		"530 to MAIL":        {verb: "MAIL", answer: "530 5.7.0 Must issue a STARTTLS command first", reason: reasons.Auth, line: "STARTTLS"},
		"530 to RCPT":        {verb: "RCPT", answer: "530 5.7.1 Authentication required", reason: reasons.Auth, line: "Authentication required"},
		"535 to RCPT":        {verb: "RCPT", answer: "535 5.7.139 SmtpClientAuthentication is disabled", reason: reasons.Auth, line: "5.7.139"},
		"521 to EHLO":        {verb: "EHLO", answer: "521 5.3.2 this host takes no mail", line: "521 to EHLO"},
		"4.7.1 host":         {verb: "RCPT", answer: "450 4.7.1 Client host rejected: no name", reason: reasons.SMTPDeferred, line: "no name"},
		"4.3.1 storage":      {verb: "RCPT", answer: "452 4.3.1 Insufficient system storage", reason: reasons.SMTPDeferred, line: "storage"},
		"4.3.0 at end":       {verb: ".", answer: "451 4.3.0 queue file write error", reason: reasons.SMTPDeferred, line: "queue file"},
		"421 to EHLO":        {verb: "EHLO", answer: "421 4.7.0 later\x00", reason: reasons.SMTPDeferred, line: "421 to EHLO"},
		"421 to MAIL":        {verb: "MAIL", answer: "421 4.7.0 later\x00", reason: reasons.SMTPDeferred, line: "421 to MAIL FROM"},
		"421 to RCPT":        {verb: "RCPT", answer: "421 4.7.0 later\x00", reason: reasons.SMTPDeferred, line: "421 to RCPT TO"},
		"421 to DATA":        {verb: "DATA", answer: "421 4.7.0 later\x00", reason: reasons.SMTPDeferred, line: "421 to DATA"},
		"421 at end":         {verb: ".", answer: "421 4.7.0 later\x00", reason: reasons.SMTPDeferred, line: "421 to end of DATA"},
		"5.7.1 of one": {verb: "RCPT", to: bob, answer: "550 5.7.1 <bob@example.org>: Recipient address rejected: Access denied",
			detail: "1 of 2 addresses accepted, 1 will be retried (address 2: 550)", line: "Access denied", got: map[string]int{alice: 1, bob: 0}},
	}
}

// theirs are refusals of one address, or of a mail as it is: for good at 5xx, and the relay stands as it did.
func theirs() map[string]refusal {
	rejected := func(verb, answer, detail string) refusal {
		return refusal{verb: verb, answer: answer, detail: detail, state: delivery.StateRejected}
	}
	return map[string]refusal{
		"5.1.1 of one": {verb: "RCPT", to: bob, answer: "550 5.1.1 <bob@example.org>: User unknown", state: delivery.StateDelivered,
			reason: reasons.PartlyDelivered, detail: "1 permanently refused (address 2: 550)", got: map[string]int{alice: 1, bob: 0}},
		"5.1.1 of all":       rejected("RCPT", "550 5.1.1 User unknown in relay recipient table", "2 permanently refused"),
		"5.1.10 null MX":     rejected("RCPT", "556 5.1.10 domain has a null MX", "2 permanently refused"),
		"5.2.2 full":         rejected("RCPT", "552 5.2.2 mailbox full", "2 permanently refused"),
		"5.4.1 no such user": rejected("RCPT", "550 5.4.1 Recipient address rejected: Access denied", "2 permanently refused"),
		"550 without a code": rejected("RCPT", "550 no such user here", "2 permanently refused"),
		"5.3.4 too big":      rejected(".", "552 5.3.4 Message size exceeds fixed limit", "2 permanently refused"),
		"5.6.0 content":      rejected(".", "554 5.6.0 not a valid message", "2 permanently refused"),
		"554 at end":         rejected(".", "554 spam", "2 permanently refused"),
		"4.2.2 of one": {verb: "RCPT", to: bob, answer: "452 4.2.2 mailbox full", reason: reasons.PartlyDelivered,
			detail: "1 will be retried (address 2: 452)", got: map[string]int{alice: 1, bob: 0}},
		"4.7.1 greylisted": {verb: "RCPT", answer: "451 4.7.1 Greylisting in action", reason: reasons.SMTPDeferred,
			detail: "2 will be retried (address 1: 451, address 2: 451)"},
	}
}

func TestRefusalsAreOursOrTheAddresss(t *testing.T) {
	for name, r := range ours() {
		t.Run("ours/"+name, func(t *testing.T) {
			t.Parallel()
			r.play(t)
		})
	}
	for name, r := range theirs() {
		t.Run("theirs/"+name, func(t *testing.T) {
			t.Parallel()
			r.play(t)
		})
	}
}

func (r refusal) script() smtptest.PeerScript {
	return smtptest.PeerScript{Answer: func(c smtptest.Command) string {
		if c.Verb == r.verb && (r.to == "" || c.To == r.to) {
			return r.answer
		}
		if c.Verb == "HELO" && r.verb == "EHLO" {
			return r.answer
		}
		return ""
	}}
}

func (r refusal) play(t *testing.T) {
	if r.state == "" {
		r.state = delivery.StateRetrying
	}
	if r.reason == "" {
		r.reason = reasons.SMTPRefused
	}
	if r.line == "" {
		r.line = health.RelayOK
	}
	peer := smtptest.StartPeer(t, r.script())
	w := fixture{seen: make(watcher, 1000), options: options()}
	w.options.StatusTick = 10 * time.Millisecond
	conn := open(t, peer, w)
	e := accept(t, conn, "e-1")
	rec := record(t, conn, e, func(rec delivery.Record) bool { return rec.State == r.state })
	if rec.Reason != r.reason || !strings.Contains(rec.Detail, r.detail) || strings.Contains(rec.Detail+string(rec.Excerpt), "example.org") {
		t.Errorf("recorded %s %s: %s, want %s: %s", rec.State, rec.Reason, rec.Detail, r.reason, r.detail)
	}
	if r.state.Final() && rec.Attempt != 1 {
		t.Errorf("ended in attempt %d, want the first", rec.Attempt)
	}
	stands(t, conn, r.line)
	peerCounts(t, peer, orNone(r.got))
	if r.state.Final() {
		return
	}
	peer.Play(smtptest.PeerScript{})
	rec = record(t, conn, e, func(rec delivery.Record) bool { return rec.State.Final() })
	if rec.State != delivery.StateDelivered || rec.Attempt < 2 {
		t.Errorf("mended, it ended in %s %s after %d attempts", rec.State, rec.Reason, rec.Attempt)
	}
	stands(t, conn, health.RelayOK)
	peerCounts(t, peer, map[string]int{alice: 1, bob: 1})
}

// accept has an event accepted.
func accept(t *testing.T, conn *bus.Conn, id string) *event.Event {
	t.Helper()
	publisher := bus.NewPublisher(conn)
	defer publisher.Close()
	e := event.Sample(event.Catalogue()[1], "appliance-1", id, time.Now(), nil)
	if _, err := publisher.Accept(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	return e
}

func peerCounts(t *testing.T, p *smtptest.Peer, want map[string]int) {
	t.Helper()
	for address, n := range want {
		if got := p.CountFor(address); got != n {
			t.Errorf("%s got %d mails, want %d", address, got, n)
		}
	}
}

// TestOneRefusedForGoodAndOneForUs has the relay refuse one address for good and the other for what we are.
func TestOneRefusedForGoodAndOneForUs(t *testing.T) {
	peer := smtptest.StartPeer(t, smtptest.PeerScript{Answer: func(c smtptest.Command) string {
		switch {
		case c.Verb == "RCPT" && c.To == bob:
			return "550 5.1.1 User unknown"
		case c.Verb == "RCPT":
			return "554 5.7.1 Relay access denied"
		default:
			return ""
		}
	}})
	s, d := senderTo(t, peer), deliveryTo(alice, bob)
	v, _ := try(t, s, d)
	want(t, v, delivery.Retry, reasons.SMTPRefused)
	const detail = "0 of 2 addresses accepted, 1 permanently refused (address 2: 550), 1 will be retried (address 1: 554)"
	if !strings.Contains(v.Detail, "Relay access denied") || !strings.Contains(v.Detail, detail) {
		t.Errorf("detail %q", v.Detail)
	}
	peer.Play(smtptest.PeerScript{})
	v, _ = try(t, s, d)
	want(t, v, delivery.Delivered, reasons.PartlyDelivered)
	peerCounts(t, peer, map[string]int{alice: 1, bob: 0})
}
