package delivery_test

import (
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/recipient"
)

// freshness says how recent the directory is as the test has it.
type freshness struct {
	mu      sync.Mutex
	through uint64
	unknown bool
	asked   uint64
	changed chan struct{}
}

func newFreshness() *freshness { return &freshness{changed: make(chan struct{})} }

func (f *freshness) CompleteThrough() (uint64, bool, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.through, !f.unknown, f.changed
}

func (f *freshness) AskThrough(sequence uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = max(f.asked, sequence)
}

func (f *freshness) wanted() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked
}

func (f *freshness) set(change func(*freshness)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
	close(f.changed)
	f.changed = make(chan struct{})
}

// complete says that all is known as of a sequence.
func (f *freshness) complete(through uint64) { f.set(func(f *freshness) { f.through = through }) }

// unselective has a filter that only what is said to match passes.
func unselective(r *recipient.Recipient) { r.Filter = "matches" }

func newHoldingWorld(t *testing.T) *fixture {
	w := newFixture(t)
	w.fresh = newFreshness()
	w.matches = func(r *recipient.Recipient, e *event.Event) (bool, error) {
		return r.Filter == "all" || strings.HasPrefix(e.ID, "match"), nil
	}
	return w
}

// state is the newest record's, empty if there is none.
func (w *fixture) state(recipientID, eventID string) delivery.State {
	w.t.Helper()
	rec, _, err := w.log.Latest(w.t.Context(), recipientID, w.event(eventID), "")
	if err != nil {
		w.t.Fatal(err)
	}
	return rec.State
}

// TestNothingIsSkippedByWhatMayBeOld changes recipients after their events were accepted as far as the sender knows, and before as it
// turns out.
func TestNothingIsSkippedByWhatMayBeOld(t *testing.T) {
	for name, x := range map[string]struct{ before, after func(*recipient.Recipient) }{
		"filter loosened": {unselective, func(r *recipient.Recipient) { r.Filter = "all" }},
		"filter removed":  {unselective, func(r *recipient.Recipient) { r.Filter = "" }},
		"type added": {
			func(r *recipient.Recipient) { r.EventTypes = []string{"support_conference_end"} },
			func(r *recipient.Recipient) { r.EventTypes = []string{"support_conference_begin"} },
		},
		"appliance added": {func(r *recipient.Recipient) { r.Appliances = []string{"a2"} }, func(r *recipient.Recipient) { r.Appliances = nil }},
		"enabled": {func(r *recipient.Recipient) {
			r.Enabled, r.DisabledWindows = false, []recipient.Window{{Start: time.Now().Add(-time.Minute)}}
		}, func(r *recipient.Recipient) { r.Enabled, r.DisabledWindows = true, nil }},
		"deleted and restored": {func(r *recipient.Recipient) { r.Deleting = true }, func(r *recipient.Recipient) { r.Deleting = false }},
	} {
		t.Run(name, func(t *testing.T) {
			w := newHoldingWorld(t)
			// The consumer is what the recipient has become by now; the sender still knows what it was.
			now := *w.recipient("r", x.after)
			old := now
			x.before(&old)
			w.dir.set(&old)
			w.run()
			w.publish("e1", "e2")
			w.until("both are held", func() bool { return w.fresh.wanted() >= 2 })
			w.fresh.complete(1) // of e1 the sender's knowledge was good
			first := delivery.StateSkipped
			if old.Deleting {
				first = delivery.StateCancelled
			}
			if got := w.final("r", "e1", ""); got.State != first {
				t.Errorf("e1 became %s, want %s", got.State, first)
			}
			if got := w.state("r", "e2"); got != "" {
				t.Errorf("e2 is %s already", got)
			}
			w.dir.set(&now)
			w.fresh.complete(2)
			if got := w.final("r", "e2", ""); got.State != delivery.StateDelivered || got.Attempt != 1 {
				t.Errorf("e2 became %s in attempt %d", got.State, got.Attempt)
			}
			w.onceEach("r", 1)
		})
	}
}

// TestWhatIsHeldTakesNoSlot has a recipient with one slot, whose filter drops all but a few.
func TestWhatIsHeldTakesNoSlot(t *testing.T) {
	w := newHoldingWorld(t)
	w.recipient("r", unselective, func(r *recipient.Recipient) { r.MaxInFlight = 1 })
	w.run()
	w.publish(append(names("drop-", 20), "match")...)
	if got := w.final("r", "match", ""); got.State != delivery.StateDelivered {
		t.Errorf("it became %s", got.State)
	}
	for _, id := range names("drop-", 20) {
		if got := w.state("r", id); got != "" {
			t.Errorf("%s is %s though nobody said how recent the filter is", id, got)
		}
	}
	w.fresh.complete(21)
	for _, id := range names("drop-", 20) {
		if got := w.final("r", id, ""); got.State != delivery.StateSkipped || got.Reason != reasons.FilterFalse || got.Attempt != 0 {
			t.Errorf("%s became %s (%s) in attempt %d", id, got.State, got.Reason, got.Attempt)
		}
	}
	w.drained("r")
}

// TestNoMoreIsHeldThanTheWindowIsWide puts back what comes beyond, and all of it when the sender stops.
func TestNoMoreIsHeldThanTheWindowIsWide(t *testing.T) {
	w := newHoldingWorld(t)
	w.window = 5
	var mu sync.Mutex
	put := map[reasons.Reason][]string{}
	w.ended = func(r delivery.Report) {
		mu.Lock()
		defer mu.Unlock()
		if id := r.Delivery.Event.ID; r.Verdict.Kind == delivery.Postpone && !slices.Contains(put[r.Verdict.Reason], id) {
			put[r.Verdict.Reason] = append(put[r.Verdict.Reason], id)
		}
	}
	count := func(reason reasons.Reason) int {
		mu.Lock()
		defer mu.Unlock()
		return len(put[reason])
	}
	w.recipient("r", unselective)
	w.run()
	w.publish(names("drop-", 12)...)
	w.until("those beyond the window are put back", func() bool { return count(reasons.ConfigBehind) == 7 })
	w.stop()
	if n := count(reasons.Shutdown); n != 5 {
		t.Errorf("%d were put back by the stop, want 5", n)
	}
	// Another sender, which knows all, has them within moments.
	w.fresh.complete(math.MaxUint64)
	w.run()
	for _, id := range names("drop-", 12) {
		if got := w.final("r", id, ""); got.State != delivery.StateSkipped {
			t.Errorf("%s became %s", id, got.State)
		}
	}
}

// TestWithoutBookmarksIsDecidedByWhatIsKnown has a config service of an older release.
func TestWithoutBookmarksIsDecidedByWhatIsKnown(t *testing.T) {
	w := newHoldingWorld(t)
	w.recipient("r", unselective)
	w.run()
	w.publish("drop-1")
	w.until("it is held", func() bool { return w.fresh.wanted() == 1 })
	w.fresh.set(func(f *freshness) { f.unknown = true })
	if got := w.final("r", "drop-1", ""); got.State != delivery.StateSkipped {
		t.Errorf("it became %s", got.State)
	}
	w.publish("drop-2")
	if got := w.final("r", "drop-2", ""); got.State != delivery.StateSkipped {
		t.Errorf("the next became %s", got.State)
	}
}

// TestAStrictQueueKeepsItsOrderWhileAMessageIsHeld has the filter loosened while the first event is held.
func TestAStrictQueueKeepsItsOrderWhileAMessageIsHeld(t *testing.T) {
	w := newHoldingWorld(t)
	r := w.recipient("r", unselective, func(r *recipient.Recipient) { r.Order = recipient.Strict })
	w.run()
	w.publish("first", "match-2", "match-3")
	w.until("the first is held", func() bool { return w.fresh.wanted() == 1 })
	loose := *r
	loose.Filter = "all"
	w.dir.set(&loose)
	w.fresh.complete(3)
	for _, id := range []string{"first", "match-2", "match-3"} {
		if got := w.final("r", id, ""); got.State != delivery.StateDelivered {
			t.Errorf("%s became %s", id, got.State)
		}
	}
	if got := w.attempts("r"); !slices.Equal(got, []string{"first", "match-2", "match-3"}) {
		t.Errorf("sent %q", got)
	}
}
