package delivery_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/recipient"
)

// numbers gives numbers as it is told to.
type numbers func(sequence uint64) (uint64, error)

func (n numbers) Offer(delivery.Message) {}

func (n numbers) Number(_ context.Context, _ string, sequence uint64) (uint64, error) {
	return n(sequence)
}

// sentNumbers are the numbers of the attempts to send an event, in their order.
type sentNumbers struct {
	mu  sync.Mutex
	all map[string][]uint64
}

func (s *sentNumbers) note(d *delivery.Delivery) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := d.Event.ID + d.ReplayID
	s.all[key] = append(s.all[key], d.Number)
}

func (s *sentNumbers) of(key string) []uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all[key]
}

func TestNumberIsKeptByTheRecordThroughRetriesAndReplays(t *testing.T) {
	w := newFixture(t)
	sent, failed := &sentNumbers{all: map[string][]uint64{}}, false
	w.send = func(d *delivery.Delivery) delivery.Outcome {
		sent.note(d)
		if d.ReplayID == "" && d.Event.ID == "e-1" && !failed {
			failed = true
			return delivery.Outcome{Status: 500}
		}
		return delivery.Outcome{Status: 200}
	}
	asked := 0
	w.numbers = numbers(func(sequence uint64) (uint64, error) {
		asked++
		return 100*uint64(asked) + sequence, nil // another one each time, so that only the record can tell it again
	})
	w.recipient("r")
	w.publish("e-1")
	w.run()
	if rec := w.final("r", "e-1", ""); rec.Number != 101 || rec.Attempt != 2 {
		t.Errorf("recorded as number %d after %d attempts", rec.Number, rec.Attempt)
	}
	if got := sent.of("e-1"); len(got) != 2 || got[0] != 101 || got[1] != 101 {
		t.Errorf("the attempts had the numbers %v", got)
	}
	for _, replay := range []bus.Replay{{ID: "again"}, {ID: "test", Test: true}} {
		if _, err := w.pub.Replay(t.Context(), "r", w.event("e-1"), replay); err != nil {
			t.Fatal(err)
		}
	}
	if rec := w.final("r", "e-1", "again"); rec.Number != 101 {
		t.Errorf("the replay is recorded as number %d", rec.Number)
	}
	if rec := w.final("r", "e-1", "test"); rec.Number != 0 || sent.of("e-1test")[0] != 0 || sent.of("e-1again")[0] != 101 {
		t.Errorf("a test has number %d, and was sent as %v; the replay as %v", rec.Number, sent.of("e-1test"), sent.of("e-1again"))
	}
	if asked != 1 {
		t.Errorf("numbers were asked for %d times", asked)
	}
}

func TestWhatIsSkippedHasANumber(t *testing.T) {
	w := newFixture(t)
	w.numbers = numbers(func(sequence uint64) (uint64, error) { return sequence, nil })
	w.matches = func(_ *recipient.Recipient, e *event.Event) (bool, error) { return e.ID != "e-2", nil }
	w.recipient("r", func(r *recipient.Recipient) { r.Filter = "not e-2" })
	w.publish("e-1", "e-2", "e-3")
	w.run()
	for id, want := range map[string]uint64{"e-1": 1, "e-2": 2, "e-3": 3} {
		if rec := w.final("r", id, ""); rec.Number != want || (rec.State == delivery.StateSkipped) != (id == "e-2") {
			t.Errorf("%s is number %d, %s", id, rec.Number, rec.State)
		}
	}
}

func TestNothingIsSentBeforeItsNumberIsKnown(t *testing.T) {
	w := newFixture(t)
	var mu sync.Mutex
	known, postponed := false, make(chan delivery.Report, 100)
	w.numbers = numbers(func(uint64) (uint64, error) {
		mu.Lock()
		defer mu.Unlock()
		if !known {
			return 0, errors.New("not counted")
		}
		return 7, nil
	})
	w.ended = func(r delivery.Report) { postponed <- r }
	w.recipient("r")
	w.publish("e-1")
	w.run()
	if r := <-postponed; r.Verdict.Reason != reasons.NoNumber || r.Verdict.Kind != delivery.Postpone {
		t.Errorf("it is %v", r.Verdict)
	}
	if got := w.attempts("r"); len(got) != 0 {
		t.Errorf("sent %v without a number", got)
	}
	mu.Lock()
	known = true
	mu.Unlock()
	if rec := w.final("r", "e-1", ""); rec.Number != 7 || rec.Attempt != 1 {
		t.Errorf("number %d, attempt %d", rec.Number, rec.Attempt)
	}
}
