package delivery_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/waittest"
)

func TestMain(m *testing.M) { waittest.VerifyTestMain(m) }

func TestEachRecipientGetsEachEventOnceAndItIsRecorded(t *testing.T) {
	w := newFixture(t)
	w.recipient("r1")
	w.recipient("r2")
	w.run()
	var ids []string
	for i := range 300 {
		ids = append(ids, fmt.Sprintf("e-%d", i))
	}
	w.publish(ids...)
	for _, r := range []string{"r1", "r2"} {
		w.drained(r)
		got := w.attempts(r)
		slices.Sort(got)
		slices.Sort(ids)
		if !slices.Equal(got, ids) {
			t.Errorf("%s got %d, want %d", r, len(got), len(ids))
		}
		recs, err := w.log.Attempts(t.Context(), deliverylog.AttemptFilter{Recipient: r, State: delivery.StateDelivered}, 0, 1000)
		if err != nil || len(recs) != len(ids) {
			t.Errorf("%d records of %s, want %d (%v)", len(recs), r, len(ids), err)
		}
	}
}

func TestARetryIsARedeliveryAtTheIntervalAndNeighboursNeverWait(t *testing.T) {
	w := newFixture(t)
	w.recipient("sick")
	w.recipient("well")
	hold := make(chan struct{})
	var mu sync.Mutex
	var begins []time.Time
	w.send = func(d *delivery.Delivery) delivery.Outcome {
		switch {
		case d.Recipient.ID == "well":
			return delivery.Outcome{Status: 200}
		case d.Event.ID == "hangs":
			<-hold
			return delivery.Outcome{Status: 200}
		}
		mu.Lock()
		defer mu.Unlock()
		begins = append(begins, time.Now())
		if d.Attempt != len(begins) {
			t.Errorf("attempt %d is called %d", len(begins), d.Attempt)
		}
		if d.Attempt < 4 {
			return delivery.Outcome{Status: 500}
		}
		return delivery.Outcome{Status: 200}
	}
	w.run()
	w.publish("hangs", "fails")
	// The neighbour is done while the sick one still hangs.
	w.final("well", "hangs", "")
	w.final("well", "fails", "")
	rec := w.final("sick", "fails", "")
	if rec.Attempt != 4 || rec.State != delivery.StateDelivered || rec.FirstAttempt == nil || !rec.FirstAttempt.Before(*rec.LastAttempt) {
		t.Errorf("record %+v", rec)
	}
	for i := 1; i < len(begins); i++ {
		if gap := begins[i].Sub(begins[i-1]); gap < 170*time.Millisecond {
			t.Errorf("attempt %d came after %v, before its interval", i+1, gap)
		}
	}
	close(hold)
	w.drained("sick")
}

func TestADeliveryExpiresWithTheLastError(t *testing.T) {
	w := newFixture(t)
	r := w.recipient("r1")
	w.send = func(*delivery.Delivery) delivery.Outcome { return delivery.Outcome{Status: 503} }
	w.run()
	w.publish("e-1")
	w.newest("r1", "e-1", func(r delivery.Record) bool { return r.Attempt >= 2 })
	w.change(r, func(r *recipient.Recipient) { r.Retry.Duration = time.Millisecond })
	rec := w.final("r1", "e-1", "")
	if rec.State != delivery.StateExpired || rec.Reason != reasons.Expired || rec.Attempt < 2 || rec.Detail == "" {
		t.Errorf("record %+v", rec)
	}
	if rec.LastAttempt.Before(rec.Expire) {
		t.Errorf("the last attempt at %v is before the end at %v", rec.LastAttempt, rec.Expire)
	}
	w.drained("r1")
}

func TestWhatIsRecordedIsNotSentAgain(t *testing.T) {
	w := newFixture(t)
	w.recipient("r1")
	w.publish("done", "open")
	now := time.Now()
	ch := make(chan error)
	go w.log.AppendAttempt(delivery.Record{Recipient: "r1", EventID: "done", Appliance: "a1", Type: "support_conference_begin",
		State: delivery.StateDelivered, Attempt: 1, LastAttempt: &now}, func(err error) { ch <- err })
	if err := <-ch; err != nil {
		t.Fatal(err)
	}
	// A sender that starts anew: both messages are older than its connection and given out for the first time.
	again, err := bus.Connect(t.Context(), bus.Options{URL: w.conn.IntakeConn().ConnectedUrl()})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	w.conn = again
	w.run()
	w.drained("r1")
	if got := w.attempts("r1"); !slices.Equal(got, []string{"open"}) {
		t.Errorf("sent %v, want the open one alone", got)
	}
	w.stop()
}

func TestWhatARecipientNoLongerWantsEndsWithAReason(t *testing.T) {
	type R = recipient.Recipient
	cases := map[string]struct {
		change func(*R)
		state  delivery.State
		reason reasons.Reason
	}{
		"disabled": {func(r *R) {
			r.Enabled = false
			r.DisabledWindows = []recipient.Window{{Start: time.Now().Add(-time.Hour)}}
		}, delivery.StateSkipped, reasons.Disabled},
		"deleted":    {func(r *R) { r.Deleting = true }, delivery.StateCancelled, reasons.Deleted},
		"type":       {func(r *R) { r.EventTypes = []string{"support_conference_end"} }, delivery.StateSkipped, reasons.TypeUnwanted},
		"appliance":  {func(r *R) { r.Appliances = []string{"a2"} }, delivery.StateSkipped, reasons.ApplianceOut},
		"once-again": {func(*R) {}, delivery.StateDelivered, reasons.OK},
	}
	w := newFixture(t)
	for id := range cases {
		w.recipient(id)
	}
	w.publish("e-1")
	for id, c := range cases {
		r := *w.dir.all[id]
		c.change(&r)
		w.dir.set(&r)
	}
	w.run()
	for id, c := range cases {
		rec := w.final(id, "e-1", "")
		if rec.State != c.state || rec.Reason != c.reason {
			t.Errorf("%s: %s %s, want %s %s", id, rec.State, rec.Reason, c.state, c.reason)
		}
		sent := len(w.attempts(id))
		if want := map[bool]int{true: 1, false: 0}[c.state == delivery.StateDelivered]; sent != want || rec.Attempt != want {
			t.Errorf("%s: %d sent, %d attempts recorded, want %d", id, sent, rec.Attempt, want)
		}
		w.drained(id)
	}
}

func TestStrictOrderHoldsTheLaterEvents(t *testing.T) {
	w := newFixture(t)
	w.recipient("r1", func(r *recipient.Recipient) { r.Order = recipient.Strict })
	w.send = func(d *delivery.Delivery) delivery.Outcome {
		if d.Event.ID == "e-2" && d.Attempt < 3 {
			return delivery.Outcome{Status: 500}
		}
		return delivery.Outcome{Status: 200}
	}
	w.run()
	w.publish("e-1", "e-2", "e-3", "e-4")
	w.final("r1", "e-4", "")
	if got, want := w.attempts("r1"), []string{"e-1", "e-2", "e-2", "e-2", "e-3", "e-4"}; !slices.Equal(got, want) {
		t.Errorf("sent %v, want %v", got, want)
	}
}

func TestAReplayIsADeliveryOfItsOwn(t *testing.T) {
	w := newFixture(t)
	w.recipient("r1")
	w.run()
	w.publish("e-1")
	w.final("r1", "e-1", "")
	if _, err := w.pub.Replay(t.Context(), "r1", w.event("e-1"), bus.Replay{ID: "again", Test: true, Actor: "ann"}); err != nil {
		t.Fatal(err)
	}
	w.drained("r1")
	if got := w.attempts("r1"); !slices.Equal(got, []string{"e-1", "e-1"}) {
		t.Errorf("sent %v", got)
	}
	if rec := w.final("r1", "e-1", "again"); rec.State != delivery.StateDelivered || !rec.Test {
		t.Errorf("record of the replay: %+v", rec)
	}
}

func TestAttemptsUnderWayFinishWhenTheEngineStops(t *testing.T) {
	w := newFixture(t)
	w.recipient("r1")
	entered, leave := make(chan struct{}), make(chan struct{})
	w.send = func(*delivery.Delivery) delivery.Outcome {
		close(entered)
		<-leave
		return delivery.Outcome{Status: 200}
	}
	w.run()
	w.publish("e-1")
	<-entered
	go close(leave)
	w.stop()
	rec, at, err := w.log.Latest(t.Context(), "r1", w.event("e-1"), "")
	if err != nil || at == 0 || rec.State != delivery.StateDelivered {
		t.Errorf("after the stop: %+v, %v, %v", rec, at, err)
	}
}
