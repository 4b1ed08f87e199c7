package delivery_test

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bus/eventlog"
	"github.com/outbound-events/outbound/pkg/bus/queue"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/recipient/maintenance"
	"github.com/outbound-events/outbound/pkg/throttle"
)

// planned is a fixture with a clock that can be put forward, and a recipient r whose maintenance window is open for two hours by it.
type planned struct {
	*fixture
	r     *recipient.Recipient
	ahead atomic.Int64
	mu    sync.Mutex
	times []time.Time
}

func newPlanned(t *testing.T, rate int) *planned {
	p := &planned{fixture: newFixture(t)}
	p.now = func() time.Time { return time.Now().Add(time.Duration(p.ahead.Load())) }
	limiter := throttle.NewMemory()
	p.drain = func(ctx context.Context, r *recipient.Recipient, rate int) time.Duration {
		return limiter.Take(ctx, r.ID, throttle.Limit{Turns: rate, Period: time.Second})
	}
	window := maintenance.Window{Zone: time.UTC, Start: time.Now().Add(-time.Hour), End: time.Now().Add(2 * time.Hour), DrainRate: rate}
	p.r = p.recipient("r", func(r *recipient.Recipient) {
		r.Retry.Duration = time.Minute
		r.Maintenance = maintenance.New([]maintenance.Window{window})
	})
	p.recipient("free")
	p.send = func(d *delivery.Delivery) delivery.Outcome {
		p.mu.Lock()
		defer p.mu.Unlock()
		if d.Recipient.ID == "r" {
			p.times = append(p.times, time.Now())
		}
		return delivery.Outcome{Status: 200}
	}
	return p
}

// close puts the clock behind the end of the window.
func (p *planned) close() { p.ahead.Store(int64(2*time.Hour + time.Second)) }

// held waits until everything has come to the other recipient, and fails if anything was sent to r, or is not in its queue any more.
func (p *planned) held(n int) {
	p.t.Helper()
	p.drained("free")
	b, err := control.New(p.conn).Backlog(p.t.Context(), recipient.HTTP, "r")
	if err != nil || b.Total() != uint64(n) || len(p.attempts("r")) > 0 {
		p.t.Fatalf("%d are in the queue (%v) and %v were sent, want %d held", b.Total(), err, p.attempts("r"), n)
	}
}

func TestWindowHoldsAndThenDrainsAtItsRate(t *testing.T) {
	const n, rate = 30, 20
	p := newPlanned(t, rate)
	failed := false
	send := p.send
	p.send = func(d *delivery.Delivery) delivery.Outcome {
		o := send(d)
		p.mu.Lock()
		defer p.mu.Unlock()
		if d.Recipient.ID == "r" && d.Event.ID == "e-7" && !failed {
			failed, o.Status = true, 500
		}
		return o
	}
	p.run()
	p.publish(ids(n)[:n/2]...)
	p.held(n / 2)
	p.stop()
	p.run() // a restart holds on
	p.publish(ids(n)[n/2:]...)
	p.held(n)
	p.close()
	p.drained("r")
	got := p.attempts("r")
	slices.Sort(got)
	if len(got) != n+1 || len(slices.Compact(got)) != n {
		t.Fatalf("%d attempts came of %d events: %v", len(got), n, got)
	}
	// It was held for longer than its retry duration, failed once, and was retried all the same.
	if rec := p.final("r", "e-7", ""); rec.State != delivery.StateDelivered || rec.Attempt != 2 {
		t.Errorf("an event that failed once after the window is %s after %d attempts", rec.State, rec.Attempt)
	}
	took := p.times[len(p.times)-1].Sub(p.times[0]).Seconds()
	if most := rate*took + rate/10 + 1 + 1; float64(n) > most { // the burst, the first, and the retry, which is held to no rate
		t.Errorf("%d were sent within %.2f s, at most %.1f may be", n, took, most)
	}
}

func TestNewEventsAreNotHeldToTheRateOfADrain(t *testing.T) {
	p := newPlanned(t, 1)
	p.run()
	p.publish("e-0")
	p.held(1)
	p.close()
	p.drained("r")
	asked := atomic.Int64{}
	drain := p.drain
	p.drain = func(ctx context.Context, r *recipient.Recipient, rate int) time.Duration {
		asked.Add(1)
		return drain(ctx, r, rate)
	}
	p.stop()
	// The broker stamps by its own clock, so the window is moved instead: it has closed before the next event is accepted.
	p.ahead.Store(0)
	p.change(p.r, func(r *recipient.Recipient) {
		r.Maintenance = maintenance.New([]maintenance.Window{{Zone: time.UTC, DrainRate: 1, Start: time.Now().Add(-time.Hour),
			End: time.Now().Add(-time.Millisecond)}})
	})
	p.run()
	p.publish("e-1", "e-2", "e-3")
	p.drained("r")
	if asked.Load() != 0 || len(p.attempts("r")) != 4 {
		t.Errorf("the rate was asked for %d times, %v were sent", asked.Load(), p.attempts("r"))
	}
}

func TestWhatSomebodyAskedForIsSentWithinAWindow(t *testing.T) {
	p := newPlanned(t, 0)
	p.run()
	p.publish(ids(20)...)
	p.held(20)
	for _, x := range []struct {
		id   string
		test bool
	}{{"replayed", false}, {"test", true}} {
		kept, err := p.pub.Replay(t.Context(), "r", p.event(x.id), bus.Replay{ID: x.id, Actor: "ann", Test: x.test})
		if err != nil {
			t.Fatal(err)
		}
		if err := queue.New(p.conn).Expedite(recipient.HTTP, "r", []uint64{kept.Sequence}); err != nil {
			t.Fatal(err)
		}
	}
	p.until("the test is sent", func() bool { return len(p.attempts("r")) > 0 })
	p.final("r", "test", "test")
	if got := p.attempts("r"); len(got) != 1 || got[0] != "test" {
		t.Fatalf("%v were sent in the window", got)
	}
	p.close()
	p.drained("r")
	if got := p.attempts("r"); len(got) != 22 {
		t.Errorf("%d attempts came of 20 events, a replay and a test: %v", len(got), got)
	}
}

func TestQueueIsPurgedWithinAWindow(t *testing.T) {
	p := newPlanned(t, 0)
	p.run()
	p.publish(ids(10)...)
	p.held(10)
	through, err := eventlog.New(p.conn).LastSequence(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p.publish("later")
	p.change(p.r, func(r *recipient.Recipient) { r.PurgedThrough, r.Revision = through, r.Revision+1 })
	for _, id := range ids(10) {
		if rec := p.final("r", id, ""); rec.State != delivery.StateCancelled || rec.Reason != reasons.Purged {
			t.Errorf("%s is %s (%s)", id, rec.State, rec.Reason)
		}
	}
	p.held(1)
	p.close()
	p.drained("r")
	if got := p.attempts("r"); !slices.Equal(got, []string{"later"}) {
		t.Errorf("%v were sent", got)
	}
}

func TestWindowThatIsRemovedEndsAtOnce(t *testing.T) {
	p := newPlanned(t, 5)
	p.run()
	p.publish(ids(12)...)
	p.held(12)
	p.change(p.r, func(r *recipient.Recipient) { r.Maintenance, r.Revision = nil, r.Revision+1 })
	p.drained("r")
	if got := p.attempts("r"); len(got) != 12 {
		t.Errorf("%d of 12 were sent: %v", len(got), got)
	}
}
