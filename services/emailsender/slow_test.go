package emailsender_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bustest"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/health"
	"github.com/outbound-events/outbound/pkg/smtptest"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// impatient has the broker hand messages of the recipient out again after a short while, and returns what it is told of those in hand.
func impatient(t *testing.T, conn *bus.Conn) (touched <-chan struct{}) {
	t.Helper()
	js, err := jetstream.New(conn.IntakeConn())
	if err != nil {
		t.Fatal(err)
	}
	co, err := js.Consumer(t.Context(), "EVENTS", "email-ops")
	if err != nil {
		t.Fatal(err)
	}
	c := co.CachedInfo().Config
	c.AckWait = 3 * time.Second
	if _, err := js.UpdateConsumer(t.Context(), "EVENTS", c); err != nil {
		t.Fatal(err)
	}
	out := make(chan struct{}, 1000)
	_, err = conn.IntakeConn().Subscribe("$JS.ACK.EVENTS.email-ops.>", func(m *nats.Msg) {
		if string(m.Data) == "+WPI" {
			out <- struct{}{}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestASlowRelayGetsEachMailOnce has a relay take longer for a delivery than the broker waits for it, a bit at each stage, while another
// sender would take over.
func TestASlowRelayGetsEachMailOnce(t *testing.T) {
	t.Parallel()
	broker := bustest.Start(t)
	w := fixture{seen: make(watcher, 1000), options: options(), conn: broker.Conn(), touchEvery: 500 * time.Millisecond}
	var slowly <-chan struct{}
	peer := smtptest.StartPeer(t, smtptest.PeerScript{})
	w.adapt = func(c *configService) { c.recipient.GetEmail().Addresses = []string{alice, bob, carol} }
	open(t, peer, w)
	w.conn = broker.Conn()
	open(t, peer, w)
	stands(t, w.conn, health.RelayOK)
	slowly = impatient(t, w.conn)
	peer.Play(smtptest.PeerScript{Answer: func(c smtptest.Command) string {
		if slices.Contains([]string{"MAIL", "RCPT", "DATA", "."}, c.Verb) {
			select {
			case <-slowly:
			case <-c.Closed:
			}
		}
		return ""
	}})
	e := accept(t, w.conn, "e-1")
	r := w.seen.next(t)
	want(t, r.Verdict, delivery.Delivered, reasons.OK)
	if r.Delivery.Attempt != 1 || r.Outcome.Took < 3*time.Second {
		t.Errorf("attempt %d took %s, want one that is longer than the broker waits", r.Delivery.Attempt, r.Outcome.Took)
	}
	if rec := finalRecord(t, w.conn, e); rec.State != delivery.StateDelivered || rec.Attempt != 1 {
		t.Errorf("recorded %s after %d attempts", rec.State, rec.Attempt)
	}
	peerCounts(t, peer, map[string]int{alice: 1, bob: 1, carol: 1})
	select {
	case r := <-w.seen:
		t.Errorf("it was handed out again: %+v", r.Verdict)
	default:
	}
}

// TestAStopDuringAWaitEndsTheWait stops a sender while the relay has the mail and does not answer. The mail is then sent again, as the
// same one.
func TestAStopDuringAWaitEndsTheWait(t *testing.T) {
	t.Parallel()
	conn := bustest.Start(t).Conn()
	hold := make(chan struct{})
	var once sync.Once
	peer := smtptest.StartPeer(t, smtptest.PeerScript{Answer: func(c smtptest.Command) string {
		if c.Verb == "." {
			select {
			case <-hold:
			case <-c.Closed:
			}
		}
		return ""
	}})
	defer once.Do(func() { close(hold) })
	w := fixture{seen: make(watcher, 1000), options: options(), conn: conn}
	w.options.Grace = 50 * time.Millisecond
	w.adapt = func(c *configService) { c.recipient.GetEmail().Addresses = []string{alice} }
	e := accept(t, conn, "e-1")
	t.Run("until it is stopped", func(t *testing.T) {
		open(t, peer, w)
		peer.AwaitHeard(t, ".", 1)
	})
	rec := record(t, conn, e, func(rec delivery.Record) bool { return rec.State == delivery.StateRetrying })
	if rec.Reason != reasons.ConnectionCut || rec.Attempt != 1 {
		t.Errorf("recorded %s (%s) after %d attempts", rec.Reason, rec.Detail, rec.Attempt)
	}
	once.Do(func() { close(hold) })
	open(t, peer, w)
	if rec := finalRecord(t, conn, e); rec.State != delivery.StateDelivered || rec.Attempt != 2 {
		t.Errorf("ended in %s after %d attempts", rec.State, rec.Attempt)
	}
	ids := map[string]bool{}
	for _, m := range peer.Mails() {
		ids[m.Header.Get("Message-Id")] = true
	}
	if len(ids) != 1 {
		t.Errorf("%d Message-IDs, want one", len(ids))
	}
}

// TestAnAlertIsKeptInHandWhileTheRelayTakesItsTime holds an alert at the relay for longer than the broker is told about it.
func TestAnAlertIsKeptInHandWhileTheRelayTakesItsTime(t *testing.T) {
	conn := bustest.Start(t).Conn()
	touched := make(chan struct{}, 1000)
	_, err := conn.IntakeConn().Subscribe("$JS.ACK.NOTICES.>", func(m *nats.Msg) {
		if string(m.Data) == "+WPI" {
			touched <- struct{}{}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	peer := smtptest.StartPeer(t, smtptest.PeerScript{Answer: func(c smtptest.Command) string {
		if c.Verb == "." {
			select {
			case <-touched:
			case <-c.Closed:
			}
		}
		return ""
	}})
	open(t, peer, fixture{seen: make(watcher, 10), options: options(), conn: conn, touchEvery: 50 * time.Millisecond})
	err = control.NewHealthStore(conn).Notify(t.Context(), health.Notice{Kind: health.KindStorage, ID: "filling/1", To: root, Admin: true,
		At: time.Now(), Filling: &health.StorageUse{Stream: "EVENTS"}})
	if err != nil {
		t.Fatal(err)
	}
	waittest.Until(t, "the alert to arrive", func() bool { return peer.CountFor(root) == 1 })
}

// TestHeadersThatKeepMachinesQuiet looks at every kind of mail.
func TestHeadersThatKeepMachinesQuiet(t *testing.T) {
	peer := smtptest.StartPeer(t, smtptest.PeerScript{})
	conn := open(t, peer, fixture{seen: make(watcher, 10), options: options()})
	begun := time.Now().Add(-2 * time.Second)
	accept(t, conn, "e-1")
	err := control.NewHealthStore(conn).Notify(t.Context(), health.Notice{Kind: health.KindStorage, ID: "filling/1", To: root, Admin: true,
		At: begun.Add(-time.Hour), Filling: &health.StorageUse{Stream: "EVENTS"}})
	if err != nil {
		t.Fatal(err)
	}
	waittest.NoError(t, "a test mail", func() error {
		ctx, cancel := waittest.Context(t.Context())
		defer cancel()
		_, err := control.New(conn).AskTestMail(ctx, control.TestMailQuestion{To: []string{carol}, Etag: "1"})
		return err
	})
	waittest.Until(t, "all four to arrive", func() bool { return len(peer.Mails()) >= 4 })
	to := map[string]bool{}
	for _, m := range peer.Mails() {
		to[m.To[0]] = true
		sent, err := m.Header.Date()
		if err != nil || sent.Before(begun) || m.Header.Get("X-Auto-Response-Suppress") != "All" ||
			m.Header.Get("Auto-Submitted") != "auto-generated" {
			t.Errorf("to %s: %v, %v", m.To[0], err, m.Header)
		}
		if n := strings.Count(string(m.Raw), "Auto-Submitted:"); n != 1 {
			t.Errorf("to %s: %d times Auto-Submitted", m.To[0], n)
		}
	}
	if len(to) != 4 {
		t.Errorf("mails to %v, want four addresses", to)
	}
}
