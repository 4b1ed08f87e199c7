package delivery_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/queue"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/recipient"
)

// outages are what a receiver does while it fails all the time.
var outages = map[string]delivery.Outcome{"answers 500": {Status: 500}, "connection refused": {Fault: delivery.FaultConnect}}

// broken has a recipient fail until its breaker is open and nothing is under way any more. Retries are an hour apart.
func (w *fixture) broken(outage delivery.Outcome, events, senders int) (mend func()) {
	w.t.Helper()
	var mended atomic.Bool
	w.send = func(*delivery.Delivery) delivery.Outcome {
		if mended.Load() {
			return delivery.Outcome{Status: 200}
		}
		return outage
	}
	w.recipient("r", hourly)
	w.publish(names("e-", events)...)
	stops := make([]func(), senders)
	watchers := make([]*watcher, senders)
	for i := range senders {
		watchers[i] = &watcher{}
		w.observer = watchers[i]
		w.run()
		stops[i] = w.stop
	}
	w.stop = func() {
		for _, stop := range stops {
			stop()
		}
	}
	for _, o := range watchers {
		w.until("the breaker is open", func() bool { return o.open.Load() > 0 && o.underWay.Load() == 0 })
	}
	return func() { mended.Store(true) }
}

// ask stores a replay of an event and has it looked for.
func (w *fixture) ask(eventID string, replay bus.Replay) (sequence uint64) {
	w.t.Helper()
	got, err := w.pub.Replay(w.t.Context(), "r", w.event(eventID), replay)
	if err != nil {
		w.t.Fatal(err)
	}
	w.wake(got.Sequence)
	return got.Sequence
}

func (w *fixture) wake(sequences ...uint64) {
	w.t.Helper()
	if err := queue.New(w.conn).Expedite(recipient.HTTP, "r", sequences); err != nil {
		w.t.Fatal(err)
	}
}

func TestWhatIsAskedForIsSentThoughTheBreakerIsOpen(t *testing.T) {
	for name, outage := range outages {
		for kind, replay := range map[string]bus.Replay{"test": {Test: true}, "retry of one event": {Expedite: true}} {
			t.Run(name+", "+kind, func(t *testing.T) {
				w := newFixture(t)
				mend := w.broken(outage, 80, 1)
				before := w.count("r", "e-")
				for i := range 3 {
					replay.ID = fmt.Sprint("now-", i)
					w.ask("asked", replay)
					w.until("it is attempted", func() bool { return w.count("r", "asked") == i+1 })
				}
				// What was let through just before the breaker opened may still have begun.
				if n := w.count("r", "e-") - before; n > 16 {
					t.Errorf("%d others were attempted with it", n)
				}
				mend()
				replay.ID = "last"
				w.ask("asked", replay)
				// It closes the breaker, and what was never tried flows, also what was put back on the way.
				w.until("what was never tried arrives", func() bool { return w.count("r", "e-") == 80 })
				w.final("r", "asked", "last")
			})
		}
	}
}

// TestOneOfThoseThatWaitIsSentIfAsked asks for a delivery that was tried, for one that was put back untried, and for one that is
// behind all.
func TestOneOfThoseThatWaitIsSentIfAsked(t *testing.T) {
	for name, outage := range outages {
		t.Run(name, func(t *testing.T) {
			w := newFixture(t)
			w.broken(outage, 80, 1)
			before := len(w.attempts("r"))
			tried := w.attempts("r")[0]
			rec := w.newest("r", tried, retrying)
			now := time.Now()
			next := rec.Record
			next.NextAttempt, next.Reason = &now, reasons.SendNow
			if err := w.log.AppendChange(t.Context(), next, rec.Sequence); err != nil {
				t.Fatal(err)
			}
			w.handedOut("the one that was tried is tried again", next.Sequence, func() bool {
				w.wake(next.Sequence)
				return w.count("r", tried) >= 2
			})
			w.wake(80) // the last event: all others are put back on the way to it
			w.until("the last one is tried", func() bool { return w.count("r", "e-79") == 1 })
			w.wake(70)
			w.until("one that was put back is tried", func() bool { return w.count("r", "e-69") == 1 })
			if n := len(w.attempts("r")) - before; n > 3+16 {
				t.Errorf("%d attempts, want the three that were asked for", n)
			}
		})
	}
}

// TestSeveralSendersLoseNothingThatIsAskedFor has two senders look for the same.
func TestSeveralSendersLoseNothingThatIsAskedFor(t *testing.T) {
	w := newFixture(t)
	w.broken(delivery.Outcome{Status: 500}, 160, 2)
	for i := range 12 {
		id := fmt.Sprintf("asked-%02d", i)
		w.ask(id, bus.Replay{ID: "now", Test: true})
		w.until(id+" is attempted", func() bool { return w.count("r", id) == 1 })
	}
	if n := w.count("r", "asked-"); n != 12 {
		t.Errorf("twelve that were asked for were sent %d times", n)
	}
}
