package history_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/bus/queue"
	"github.com/outbound-events/outbound/pkg/bustest"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/waittest"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/history"
)

// smallLog is how many records the log holds in these tests.
const smallLog = 1_000

// newSmallLog is newHouse with a log that soon drops its oldest records.
func newSmallLog(t *testing.T, recipients ...*outboundv1.Recipient) *fixture {
	t.Helper()
	h := newFixture(t, history.EmbeddedAlways, recipients...)
	o := bustest.StreamOptions()
	o.HistoryMaxRecords = smallLog
	if err := h.bus.EnsureStreams(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	return h
}

// retrying records an attempt of an event that failed, changed as the test says.
func (h *fixture) retrying(e *event.Event, recipient string, change func(*delivery.Record)) delivery.Record {
	h.t.Helper()
	in, ok, err := h.log.Intake(h.t.Context(), e.Appliance, e.ID)
	if err != nil || !ok {
		h.t.Fatal(ok, err)
	}
	now := time.Now().UTC()
	next := now.Add(time.Hour)
	rec := delivery.Record{
		Recipient: recipient, Channel: "http", EventID: e.ID, Appliance: e.Appliance, Type: e.Type, Session: e.Session,
		ExternalKey: e.ExternalKey,
		Sequence:    in.Sequence, State: delivery.StateRetrying, Reason: reasons.HTTPStatus, Status: 500, Attempt: 1, TookMicros: 1500,
		Accepted: now, FirstAttempt: &now, LastAttempt: &now, NextAttempt: &next, Expire: now.Add(time.Hour),
	}
	if change != nil {
		change(&rec)
	}
	h.appendAttempt(rec)
	return rec
}

func (h *fixture) appendAttempt(rec delivery.Record) {
	h.t.Helper()
	ch := make(chan error, 1)
	h.log.AppendAttempt(rec, func(err error) { ch <- unlessStored(err) })
	if err := <-ch; err != nil {
		h.t.Fatal(err)
	}
}

// turnOver records deliveries of other events until the log has dropped all it held, some at a time: after each the open deliveries'
// states must be out of danger before more follow.
func (h *fixture) turnOver(open ...delivery.Record) {
	h.t.Helper()
	b, err := h.log.Bounds(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	began := b.Last
	for n := 0; b.First <= began; n++ {
		h.others(50, fmt.Sprint(began, "-", n))
		h.eventually("the states of open deliveries to be kept", func() bool {
			if b, err = h.log.Bounds(h.t.Context()); err != nil {
				h.t.Fatal(err)
			}
			for _, rec := range open {
				if newest := h.latest(rec); newest.Sequence < b.Old {
					return false
				}
			}
			return true
		})
	}
}

// others records deliveries of events that are not stored.
func (h *fixture) others(n int, name string) {
	var wg sync.WaitGroup
	now := time.Now()
	for i := range n {
		wg.Add(1)
		h.log.AppendAttempt(delivery.Record{
			Recipient: "other", Channel: "http", EventID: fmt.Sprintf("%s-%d", name, i), Appliance: "a2", Type: kindEnd,
			State:  delivery.StateDelivered,
			Reason: reasons.OK, Status: 200, Attempt: 1, Accepted: now, FirstAttempt: &now, LastAttempt: &now, Expire: now,
		}, func(error) { wg.Done() })
	}
	wg.Wait()
}

// latest is the newest record of a delivery, where it stands; its sequence is 0 if there is none.
func (h *fixture) latest(of delivery.Record) deliverylog.StoredRecord {
	h.t.Helper()
	found, err := h.log.Attempts(h.t.Context(),
		deliverylog.AttemptFilter{Recipient: of.Recipient, Appliance: of.Appliance, EventID: logged(of)}, 0, 1)
	if err != nil {
		h.t.Fatal(err)
	}
	if len(found) == 0 {
		return deliverylog.StoredRecord{}
	}
	return found[0]
}

func logged(of delivery.Record) string {
	if of.ReplayID == "" {
		return of.EventID
	}
	return of.EventID + "~" + of.ReplayID
}

// engine delivers to the recipients until the test ends, as a sender does that is started now, and tells of each attempt.
func (h *fixture) engine(sent chan<- delivery.Delivery) {
	h.t.Helper()
	c, err := bus.Connect(h.t.Context(), bus.Options{URL: h.broker.URL()})
	if err != nil {
		h.t.Fatal(err)
	}
	log := deliverylog.New(c)
	e, err := delivery.NewEngine(delivery.EngineOptions{
		Channel: recipient.HTTP, Sender: sender(sent), Recipients: h.config, Queue: queue.New(c), Log: log, Observer: unobserved{},
		Since: c.Since,
	})
	if err != nil {
		h.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	h.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			h.t.Error(err)
		}
		log.Close()
		c.Close()
	})
}

// sender delivers at once.
type sender chan<- delivery.Delivery

func (s sender) Send(_ context.Context, d *delivery.Delivery) delivery.Outcome {
	s <- *d
	return delivery.Outcome{Began: time.Now(), Status: 200}
}

func (s sender) Judge(*delivery.Delivery, delivery.Outcome) delivery.Verdict {
	return delivery.Verdict{Kind: delivery.Delivered, Reason: reasons.OK}
}

type unobserved struct{}

func (unobserved) Begin(ctx context.Context, _ *delivery.Delivery) context.Context { return ctx }
func (unobserved) End(context.Context, delivery.Report)                            {}
func (unobserved) Ended(delivery.Report)                                           {}

// The log drops its oldest records. What an open delivery has come to is kept all the same: its attempts go on where they were.
func TestAnOpenDeliveryGoesOnThoughTheLogDroppedItsRecords(t *testing.T) {
	h := newSmallLog(t, httpRecipient("r1", kindEnd))
	h.running(nil)
	h.running(nil) // a second process may do the same
	due := time.Now().UTC().Add(-time.Second)
	end := time.Now().UTC().Add(2 * time.Hour)
	goesOn := h.retrying(h.accept("a1", "goes-on"), "r1", func(r *delivery.Record) {
		r.Attempt, r.NextAttempt, r.Progress = 7, &due, json.RawMessage(`{"have":["a@example.com"]}`)
		r.Expire, r.Extended = end, &end
	})
	cancelled := h.retrying(h.accept("a1", "cancelled"), "r1", func(r *delivery.Record) {
		r.Attempt, r.NextAttempt, r.CancelAsked, r.Actor, r.Reason, r.Detail = 3, &due, true, "Maria", reasons.Cancelled,
			"cancelled by an operator"
	})
	h.turnOver(goesOn, cancelled)
	h.turnOver(goesOn, cancelled)

	kept := h.latest(goesOn)
	if kept.Carried == nil {
		t.Fatalf("the record was not copied: %+v", kept)
	}
	kept.Carried = nil
	if diff := cmp.Diff(goesOn, kept.Record); diff != "" {
		t.Error(diff)
	}
	sent := make(chan delivery.Delivery, 10)
	h.engine(sent)
	d := <-sent
	if d.Event.ID != "goes-on" || d.Attempt != 8 || string(d.Progress) != `{"have":["a@example.com"]}` || !d.Extended.Equal(end) ||
		!d.FirstAttempt.Equal(*goesOn.FirstAttempt) {
		t.Errorf("the next attempt is %+v", d)
	}
	h.eventually("both deliveries to end", func() bool { return h.latest(goesOn).State.Final() && h.latest(cancelled).State.Final() })
	if last := h.latest(goesOn); last.State != delivery.StateDelivered || last.Attempt != 8 || last.Carried != nil {
		t.Errorf("it ended as %+v", last)
	}
	if last := h.latest(cancelled); last.State != delivery.StateCancelled || last.Attempt != 3 || last.Actor != "Maria" || len(sent) != 0 {
		t.Errorf("what was cancelled ended as %+v; %d were sent", last, len(sent))
	}
}

// What is over is not kept: deliveries that have ended, of events that are gone, to recipients that are gone.
func TestTheLogKeepsNoStateOfWhatIsOver(t *testing.T) {
	h := newSmallLog(t, httpRecipient("r1", kindEnd))
	h.running(nil)
	open := h.retrying(h.accept("a1", "open"), "r1", nil)
	ended := h.retrying(h.accept("a1", "ended"), "r1", nil)
	h.attempted(h.decoded("a1", "ended"), "r1", "", 2, delivery.StateDelivered)
	orphan := h.retrying(h.accept("a1", "orphan"), "gone", nil)
	lost := h.retrying(h.accept("a1", "lost"), "r1", func(r *delivery.Record) { r.Sequence = 0 })
	h.turnOver(open)
	h.turnOver(open)
	for _, rec := range []delivery.Record{ended, orphan, lost} {
		if newest := h.latest(rec); newest.Sequence != 0 {
			t.Errorf("%s to %s is kept: %+v", rec.EventID, rec.Recipient, newest)
		}
	}
	b, err := h.log.Bounds(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	copies := 0
	for at := b.First; at < b.Last; {
		found, next, err := h.log.Retrying(t.Context(), at, b.Last+1, 100)
		if err != nil {
			t.Fatal(err)
		}
		copies, at = copies+len(found), next
	}
	if copies > 2 { // one a turn
		t.Errorf("a log of %d records holds %d copies of one", smallLog, copies)
	}
}

// A copy is no attempt: nobody counts it, nobody is told of it, and a delivery's page shows each attempt once.
func TestACopyIsTakenForNoAttempt(t *testing.T) {
	h := newSmallLog(t, httpRecipient("r1", kindEnd))
	ctx, cancel := waittest.Context(t.Context())
	defer cancel()
	tail := h.tail(ctx, &outboundv1.ListDeliveriesRequest{RecipientId: "r1"})
	status := h.running(nil)
	rec := h.retrying(h.accept("a1", "e-1"), "r1", func(r *delivery.Record) { r.Attempt = 2 })
	h.attempted(h.accept("a1", "e-2"), "r1", "", 1, delivery.StateDelivered)
	last := h.latest(delivery.Record{Recipient: "r1", Appliance: "a1", EventID: "e-2"})
	first := h.latest(rec)
	// Once there is a copy beside the original, once the copy alone.
	for _, gone := range []bool{false, true} {
		if !gone {
			h.copied(rec)
		} else {
			h.turnOver(rec)
		}
		if newest := h.latest(rec); newest.Carried == nil || newest.Sequence == first.Sequence {
			t.Fatalf("there is no copy: %+v", newest)
		}
		h.shownOnce(rec, first)
		h.statusUnmoved(status, last)
	}
	// One that is started now finds the copy alone.
	h.start(history.DefaultOptions())
	s, err := h.status.GetStatus(ctx, &outboundv1.GetStatusRequest{RecipientId: "r1"})
	if at := s.GetRecipients()[0].GetLastAttemptTime().AsTime(); err != nil || !at.Equal(*rec.LastAttempt) {
		t.Errorf("the last attempt was at %v, not at %v, %v", rec.LastAttempt, at, err)
	}
	// The tail told what happened, then what comes next, and no copy between.
	h.attempted(h.accept("a1", "e-3"), "r1", "", 1, delivery.StateDelivered)
	got, _ := h.heard(tail, 3)
	if diff := cmp.Diff([]string{"r1/a1~e-1 RETRYING 2", "r1/a1~e-2 DELIVERED 1", "r1/a1~e-3 DELIVERED 1"}, names(got)); diff != "" {
		t.Error(diff)
	}
	// A replay of all that failed has nothing of it.
	p, err := h.deliveries.PreviewReplay(t.Context(),
		&outboundv1.PreviewReplayRequest{Replay: byFilter(&outboundv1.Replay_Deliveries{RecipientId: "r1"})})
	if err != nil || p.GetCount() != 0 {
		t.Errorf("a replay is about %v, %v", p, err)
	}
}

// copied fills the log until a record is copied, which is before it is dropped.
func (h *fixture) copied(rec delivery.Record) {
	h.t.Helper()
	b, err := h.log.Bounds(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	h.others(int(smallLog*9/10-b.Last), "fill")
	h.eventually("a copy beside the record", func() bool { return h.latest(rec).Carried != nil })
	if b, err = h.log.Bounds(h.t.Context()); err != nil || b.First != 1 {
		h.t.Fatalf("the log begins with %d, %v", b.First, err)
	}
}

// shownOnce checks that a delivery is listed once and shows its one attempt once.
func (h *fixture) shownOnce(rec delivery.Record, first deliverylog.StoredRecord) {
	h.t.Helper()
	for _, req := range []*outboundv1.ListDeliveriesRequest{
		{RecipientId: "r1", State: outboundv1.DeliveryState_RETRYING}, {EventId: "a1~e-1"},
		{SessionId: "s-1", State: outboundv1.DeliveryState_RETRYING},
	} {
		list, err := h.deliveries.ListDeliveries(h.t.Context(), req)
		if err != nil || len(list.GetDeliveries()) != 1 || list.GetDeliveries()[0].GetAttempts() != 2 {
			h.t.Errorf("%v lists %v, %v", req, list, err)
		}
	}
	detail, err := h.deliveries.GetDelivery(h.t.Context(), &outboundv1.GetDeliveryRequest{RecipientId: "r1", EventId: "a1~e-1"})
	if err != nil || len(detail.GetAttempts()) != 1 {
		h.t.Fatalf("the delivery shows %v, %v", detail.GetAttempts(), err)
	}
	a := detail.GetAttempts()[0]
	if a.GetNumber() != 2 || !a.GetRecordTime().AsTime().Equal(first.Time) || !a.GetBeginTime().AsTime().Equal(*rec.LastAttempt) {
		h.t.Errorf("it was recorded at %v and shows %v", first.Time, a)
	}
	e, err := h.events.GetEvent(h.t.Context(), &outboundv1.GetEventRequest{EventId: "a1~e-1"})
	if err != nil || len(e.GetTimeline()) != 2 || !e.GetTimeline()[1].GetTime().AsTime().Equal(first.Time) {
		h.t.Errorf("the event's timeline is %v, %v", e.GetTimeline(), err)
	}
}

// statusUnmoved checks that the status counts one success and one failure, and that the last attempt is the one that is known.
func (h *fixture) statusUnmoved(counted outboundv1.StatusServiceClient, last deliverylog.StoredRecord) {
	h.t.Helper()
	for name, client := range map[string]outboundv1.StatusServiceClient{"counted": counted, "searched": h.status} {
		s, err := client.GetStatus(h.t.Context(), &outboundv1.GetStatusRequest{RecipientId: "r1"})
		if err != nil {
			h.t.Fatal(err)
		}
		r := s.GetRecipients()[0]
		var delivered, failed int64
		for _, a := range r.GetActivity() {
			delivered, failed = delivered+a.GetDelivered(), failed+a.GetFailed()
		}
		if name == "counted" && (delivered != 1 || failed != 1) {
			h.t.Errorf("%d were delivered and %d failed", delivered, failed)
		}
		if at := r.GetLastAttemptTime().AsTime(); name == "searched" && !at.Equal(*last.LastAttempt) {
			h.t.Errorf("the last attempt was at %v, not at %v", last.LastAttempt, at)
		}
	}
}
