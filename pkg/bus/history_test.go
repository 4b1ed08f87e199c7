package bus_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/bus/queue"
	"github.com/outbound-events/outbound/pkg/bustest"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/waittest"
)

func append1(t *testing.T, h *deliverylog.Log, rec delivery.Record) error {
	t.Helper()
	ch := make(chan error, 1)
	h.AppendAttempt(rec, func(err error) { ch <- err })
	return <-ch
}

// unlessStored is the error of an append. The answer of a slow broker may come too late, and the repeat of what is stored is refused.
func unlessStored(err error) error {
	if errors.Is(err, delivery.ErrAlreadyRecorded) || errors.Is(err, delivery.ErrConflict) {
		return nil
	}
	return err
}

func record(e *event.Event, recipientID string, attempt int, state delivery.State) delivery.Record {
	now := time.Now()
	return delivery.Record{Recipient: recipientID, Channel: "http", EventID: e.ID, Appliance: e.Appliance, Type: e.Type, Session: e.Session,
		ExternalKey: e.ExternalKey, State: state, Reason: reasons.HTTPStatus, Attempt: attempt, LastAttempt: &now, Accepted: now, Expire: now}
}

func TestLatestIsTheNewestRecordOfADelivery(t *testing.T) {
	h := deliverylog.New(bustest.Start(t).Conn())
	defer h.Close()
	e, other := newEvent(t, "e-1"), newEvent(t, "e-2")
	if _, at, err := h.Latest(t.Context(), "r1", e, ""); at != 0 || err != nil {
		t.Fatalf("nothing recorded yet: %v, %v", at, err)
	}
	for i, s := range []delivery.State{delivery.StateRetrying, delivery.StateRetrying, delivery.StateDelivered} {
		if err := append1(t, h, record(e, "r1", i+1, s)); err != nil {
			t.Fatal(err)
		}
	}
	if err := append1(t, h, record(other, "r1", 1, delivery.StateRetrying)); err != nil {
		t.Fatal(err)
	}
	if err := append1(t, h, record(e, "r1", 3, delivery.StateRetrying)); !errors.Is(err, delivery.ErrAlreadyRecorded) {
		t.Errorf("a second record of attempt 3: %v", err)
	}
	rec, at, err := h.Latest(t.Context(), "r1", e, "")
	if err != nil || at != 3 || rec.State != delivery.StateDelivered || rec.Attempt != 3 {
		t.Errorf("latest: %+v, %v, %v", rec, at, err)
	}
	if _, at, _ := h.Latest(t.Context(), "r1", e, "replay"); at != 0 {
		t.Error("a replay has the records of the first delivery")
	}
	if _, at, _ := h.Latest(t.Context(), "r2", e, ""); at != 0 {
		t.Error("another recipient has its records")
	}
	all, err := h.Attempts(t.Context(), deliverylog.AttemptFilter{Recipient: "r1", ExternalKey: "INC 1.*>"}, 0, 10)
	if err != nil || len(all) != 3 || all[0].EventID != "e-2" || all[1].State != delivery.StateDelivered {
		t.Errorf("search: %+v, %v", all, err)
	}
}

func TestPagesOfManyRecordsAreNewestFirstAndComplete(t *testing.T) {
	h := deliverylog.New(bustest.Start(t).Conn())
	defer h.Close()
	const n = 2_500 // beyond what one multi_last answers
	var wg sync.WaitGroup
	for i := range n {
		wg.Add(2)
		e := newEvent(t, fmt.Sprintf("e-%d", i))
		h.AppendIntake(event.IntakeRecord{Accepted: i%5 != 0, Appliance: "a1", EventID: e.ID, Time: time.Now(), Sequence: uint64(i)},
			func(error) { wg.Done() })
		h.AppendAttempt(record(e, fmt.Sprintf("r%d", i%2), 1, delivery.StateDelivered), func(error) { wg.Done() })
	}
	wg.Wait()
	seen, before := map[string]bool{}, uint64(0)
	for {
		page, err := h.Attempts(t.Context(), deliverylog.AttemptFilter{Recipient: "r1"}, before, 200)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, r := range page {
			if before != 0 && r.Sequence >= before || r.Recipient != "r1" || seen[r.EventID] {
				t.Fatalf("record %d (%s of %s) is out of place", r.Sequence, r.EventID, r.Recipient)
			}
			before = r.Sequence
			seen[r.EventID] = true
		}
	}
	if len(seen) != n/2 {
		t.Errorf("paged through %d deliveries of r1, want %d", len(seen), n/2)
	}
	rejected, err := h.Intakes(t.Context(), "a1", false, true, 0, 1000)
	if err != nil || len(rejected) != n/5 {
		t.Errorf("%d rejected, want %d (%v)", len(rejected), n/5, err)
	}
	in, ok, err := h.Intake(t.Context(), "a1", "e-1")
	if err != nil || !ok || in.Sequence != 1 {
		t.Errorf("intake of e-1: %+v, %v, %v", in, ok, err)
	}
	last, ok, err := h.LatestOf(t.Context(), "r0")
	if err != nil || !ok || last.Recipient != "r0" {
		t.Errorf("latest of r0: %+v, %v, %v", last, ok, err)
	}
}

func TestRejectedEventsWithoutAnIDAreAllListed(t *testing.T) {
	h := deliverylog.New(bustest.Start(t).Conn())
	defer h.Close()
	const n = 7
	var wg sync.WaitGroup
	for range n {
		wg.Add(1)
		h.AppendIntake(event.IntakeRecord{Appliance: "a1", Time: time.Now()}, func(error) { wg.Done() })
	}
	wg.Wait()
	if got, err := h.Intakes(t.Context(), "a1", false, true, 0, 100); err != nil || len(got) != n {
		t.Errorf("%d listed, want %d (%v)", len(got), n, err)
	}
}

func TestConsumersFollowTheirRecipient(t *testing.T) {
	c := bustest.Start(t).Conn()
	p := bus.NewPublisher(c)
	defer p.Close()
	r := &recipient.Recipient{ID: "r1", Enabled: true, WhileDisabled: recipient.Hold, EventTypes: []string{"support_conference_begin"},
		HTTP: &recipient.HTTPTarget{}, StartSequence: 1}
	if err := control.New(c).EnsureConsumer(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Accept(t.Context(), newEvent(t, "e-1")); err != nil {
		t.Fatal(err)
	}
	waittest.Until(t, "the queue to hear of the event", func() bool {
		back, err := control.New(c).Backlog(t.Context(), recipient.HTTP, "r1")
		if err != nil {
			t.Fatal(err)
		}
		return back.Waiting == 1 && !back.Oldest.IsZero()
	})
	q := queue.New(c)
	r.Enabled = false
	r.Appliances = []string{"a1", "a2"}
	for range 2 { // the second time nothing is to be done
		if err := control.New(c).EnsureConsumer(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	notHandedOut(t, c, q)
	r.Enabled = true
	if err := control.New(c).EnsureConsumer(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	got := pullAll(t, q, 1)
	if len(got) != 1 || got[0].Event == nil || got[0].Event.ID != "e-1" || got[0].HandedOut != 1 {
		t.Fatalf("pulled %+v", got)
	}
	if err := got[0].Settler.NakWithDelay(20 * time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if got = pullAll(t, q, 1); len(got) != 1 || got[0].HandedOut != 2 {
		t.Fatalf("pulled again %+v", got)
	}
	if err := got[0].Settler.Ack(); err != nil {
		t.Fatal(err)
	}
	listed, err := control.New(c).Consumers(t.Context())
	if names := listed.Names(); err != nil || len(names) != 1 || names[0] != "http-r1" {
		t.Errorf("consumers %v, %v", names, err)
	}
	for range 2 {
		if err := control.New(c).DeleteConsumer(t.Context(), recipient.HTTP, "r1"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := control.New(c).Backlog(t.Context(), recipient.HTTP, "r1"); !errors.Is(err, bus.ErrNotFound) {
		t.Errorf("backlog of nobody: %v", err)
	}
}

// notHandedOut has the held recipient r1 and then another one ask for the same event: only the other gets it.
func notHandedOut(t *testing.T, c *bus.Conn, q *queue.Queue) {
	t.Helper()
	beside := &recipient.Recipient{ID: "beside", Enabled: true, EventTypes: []string{"support_conference_begin"},
		HTTP: &recipient.HTTPTarget{}, StartSequence: 1}
	if err := control.New(c).EnsureConsumer(t.Context(), beside); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := control.New(c).DeleteConsumer(t.Context(), recipient.HTTP, beside.ID); err != nil {
			t.Error(err)
		}
	}()
	held, err := q.Open(t.Context(), recipient.HTTP, "r1")
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	ctx, cancel := context.WithCancel(t.Context())
	got := make(chan int, 1)
	go func() {
		n := 0
		_ = held.Pull(ctx, 1, waittest.Limit, func(delivery.Message) { n++ }) // it is cut short
		got <- n
	}()
	waittest.Until(t, "the held recipient to ask", func() bool { return info(t, c, "http-r1").NumWaiting == 1 })
	other, err := q.Open(t.Context(), recipient.HTTP, beside.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := other.Pull(t.Context(), 1, waittest.Limit, func(m delivery.Message) { _ = m.Settler.Ack() }); err != nil {
		t.Fatal(err)
	}
	cancel()
	if n := <-got; n != 0 {
		t.Errorf("a held recipient got %d", n)
	}
}

// info is what the broker says of a consumer.
func info(t *testing.T, c *bus.Conn, name string) *jetstream.ConsumerInfo {
	t.Helper()
	js, err := jetstream.New(c.IntakeConn())
	if err != nil {
		t.Fatal(err)
	}
	consumer, err := js.Consumer(t.Context(), bus.StreamEvents, name)
	if err != nil {
		t.Fatal(err)
	}
	return consumer.CachedInfo()
}

// pullAll pulls n messages.
func pullAll(t *testing.T, q *queue.Queue, n int) (out []delivery.Message) {
	t.Helper()
	p, err := q.Open(t.Context(), recipient.HTTP, "r1")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := p.Pull(t.Context(), n, waittest.Limit, func(m delivery.Message) { out = append(out, m) }); err != nil {
		t.Fatal(err)
	}
	return out
}
