package delivery_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/pushback"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/recipient"
)

// limited plays a receiver that answers 429 with a pause while it is not open, and notes when it was asked.
type limited struct {
	w     *fixture
	pause time.Duration
	open  atomic.Bool
	mu    sync.Mutex
	asked []time.Time
}

// limit makes the receiver of a fixture one that is limited.
func (w *fixture) limit(pause time.Duration) *limited {
	l := &limited{w: w, pause: pause}
	w.send = func(*delivery.Delivery) delivery.Outcome {
		l.mu.Lock()
		l.asked = append(l.asked, time.Now())
		l.mu.Unlock()
		if l.open.Load() {
			return delivery.Outcome{Status: 200}
		}
		return delivery.Outcome{Status: 429, RetryAfter: l.pause}
	}
	w.judge = func(o delivery.Outcome) delivery.Verdict {
		if o.Status == 200 {
			return delivery.Verdict{Kind: delivery.Delivered, Reason: reasons.OK}
		}
		return delivery.Verdict{Kind: delivery.Retry, Reason: reasons.HTTPStatus, Detail: "HTTP 429", After: o.RetryAfter, Pause: o.RetryAfter}
	}
	return l
}

// requests returns when the receiver was asked.
func (l *limited) requests() []time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]time.Time{}, l.asked...)
}

// pausedReports counts messages that were put back for a pause.
func (w *fixture) pausedReports() *atomic.Int64 {
	n := &atomic.Int64{}
	w.ended = func(r delivery.Report) {
		if r.Verdict.Reason == reasons.RateLimit {
			n.Add(1)
		}
	}
	return n
}

// another is another engine of the same recipients, queues and receiver.
func (w *fixture) another() *fixture {
	return &fixture{t: w.t, conn: w.conn, pub: w.pub, log: w.log, dir: w.dir, send: w.send, judge: w.judge, pauses: w.pauses,
		sent: map[string][]string{}, stop: func() {}}
}

func ids(n int) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprintf("e-%d", i))
	}
	return out
}

func TestRetryAfterPausesTheRecipientNotTheEvent(t *testing.T) {
	const pause, events = 2 * time.Second, 24
	w := newFixture(t)
	l := w.limit(pause)
	w.recipient("r")
	w.publish(ids(events)...)
	w.run()
	w.until("the recipient is asked again after two pauses", func() bool {
		n := len(l.requests())
		return n > 1 && l.requests()[n-1].Sub(l.requests()[0]) > 2*pause
	})
	l.open.Store(true)
	w.delivered("r", ids(events)...)
	asked := l.requests()
	first := 1
	for first < len(asked) && asked[first].Sub(asked[0]) < pause {
		first++
	}
	if first > 16 {
		t.Errorf("%d requests before the pause was over, want those in flight (16) at most", first)
	}
	// One request asks whether the pause is over, and no other is there until it is answered.
	if len(asked) < first+2 || asked[first+1].Sub(asked[first]) < pause {
		t.Errorf("the first request after the pause was not alone: %v", asked)
	}
	second := 0
	for _, at := range asked {
		if d := at.Sub(asked[first+1]); d > 0 && d < 2*time.Second {
			second++
		}
	}
	if second > 4 {
		t.Errorf("%d requests in the two seconds after the second pause: the rate does not recover slowly", second)
	}
}

func TestPauseHoldsForOtherSendersAndAfterARestart(t *testing.T) {
	w := newFixture(t)
	l := w.limit(time.Minute)
	w.recipient("r")
	told := &toldPauses{Store: control.NewPauses(w.conn)}
	w.pauses = told
	other := w.another()
	paused := other.pausedReports()
	w.run()
	other.run()
	w.publish("e-1")
	w.until("both senders know of the pause", func() bool { return told.n.Load() == 2 })
	w.stop()
	w.publish("e-2")
	w.until("another sender puts the next event back", func() bool { return paused.Load() > 0 })
	other.stop()
	third := w.another()
	paused = third.pausedReports()
	third.run()
	w.publish("e-3")
	w.until("a sender that was started since puts events back", func() bool { return paused.Load() > 0 })
	third.stop()
	if n := len(l.requests()); n != 1 {
		t.Errorf("%d requests within the pause, want 1", n)
	}
}

// toldPauses counts how often senders were told of a pause.
type toldPauses struct {
	pushback.Store
	n atomic.Int64
}

func (p *toldPauses) Watch(ctx context.Context, ch recipient.Channel, complete func(), tell func(string, pushback.Pause)) error {
	return p.Store.Watch(ctx, ch, complete, func(id string, x pushback.Pause) {
		tell(id, x)
		p.n.Add(1)
	})
}

func TestPauseKeepsStrictOrder(t *testing.T) {
	const pause = time.Second
	w := newFixture(t)
	l := w.limit(pause)
	w.recipient("r", func(r *recipient.Recipient) { r.Order = recipient.Strict })
	w.publish(ids(4)...)
	w.run()
	w.until("the recipient asked for a pause", func() bool { return len(l.requests()) == 1 })
	l.open.Store(true)
	w.delivered("r", ids(4)...)
	if got, want := fmt.Sprint(w.attempts("r")), "[e-0 e-0 e-1 e-2 e-3]"; got != want {
		t.Errorf("sent %s, want %s", got, want)
	}
	if asked := l.requests(); asked[1].Sub(asked[0]) < pause {
		t.Errorf("sent again after %s", asked[1].Sub(asked[0]))
	}
}

func TestWithinAPauseDeliveriesEndAndWhatIsAskedForIsSent(t *testing.T) {
	w := newFixture(t)
	l := w.limit(time.Hour)
	r := w.recipient("r", func(r *recipient.Recipient) { r.Retry.Duration = time.Second })
	w.run()
	w.publish("e-1")
	rec := w.final("r", "e-1", "")
	if rec.State != delivery.StateExpired || rec.Attempt != 1 || len(l.requests()) != 1 {
		t.Errorf("the event became %s after %d attempts: %s", rec.State, rec.Attempt, rec.Detail)
	}
	w.publish("e-2")
	l.open.Store(true)
	w.change(r, func(r *recipient.Recipient) { r.Revision++ })
	w.delivered("r", "e-2")
	if n := len(l.requests()); n != 2 {
		t.Errorf("%d requests, want one before the recipient was changed and one after", n)
	}
}

func TestQueueIsEmptiedWithinAPause(t *testing.T) {
	w := newFixture(t)
	l := w.limit(time.Hour)
	r := w.recipient("r")
	w.run()
	w.publish("e-0")
	w.until("the recipient asked for a pause", func() bool { return len(l.requests()) == 1 })
	w.publish("e-1", "e-2")
	w.change(r, func(r *recipient.Recipient) { r.Deleting = true; r.Revision++ })
	for _, id := range []string{"e-1", "e-2"} {
		if rec := w.final("r", id, ""); rec.State != delivery.StateCancelled {
			t.Errorf("%s became %s", id, rec.State)
		}
	}
	if n := len(l.requests()); n != 1 {
		t.Errorf("%d requests", n)
	}
}
