package delivery_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/queue"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/lease"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/recipient"
)

// lateQueue hands what it has pulled to the engine only once it is let go, as in a process that is stopped for a while.
type lateQueue struct {
	delivery.Queue
	pulled atomic.Int64
	letGo  chan struct{}
}

func (q *lateQueue) Open(ctx context.Context, ch recipient.Channel, id string) (delivery.Puller, error) {
	p, err := q.Queue.Open(ctx, ch, id)
	return &latePuller{p, q}, err
}

type latePuller struct {
	delivery.Puller
	q *lateQueue
}

func (p *latePuller) Pull(ctx context.Context, n int, wait time.Duration, take func(delivery.Message)) error {
	return p.Puller.Pull(ctx, n, wait, func(m delivery.Message) {
		p.q.pulled.Add(1)
		<-p.q.letGo
		take(m)
	})
}

// beside is another engine for the same recipients.
func (w *fixture) beside() *fixture {
	b := &fixture{t: w.t, conn: w.conn, pub: w.pub, log: w.log, dir: w.dir, sent: map[string][]string{}, stop: func() {}}
	b.send = func(*delivery.Delivery) delivery.Outcome { return delivery.Outcome{Status: 200} }
	w.t.Cleanup(func() { b.stop() })
	return b
}

// shortAckWait is long enough for a message to be in time that comes at the end of a pull (2 s), with which its lease begins: with less, a
// redelivery that keeps step with the pulls is overdue each time.
const shortAckWait = 5 * time.Second

// ackWait sets how long the broker waits for a recipient's messages.
func (w *fixture) ackWait(id string, wait time.Duration) {
	w.t.Helper()
	js, err := jetstream.New(w.conn.IntakeConn())
	if err != nil {
		w.t.Fatal(err)
	}
	c, err := js.Consumer(w.t.Context(), bus.StreamEvents, bus.ConsumerName(recipient.HTTP, id))
	if err != nil {
		w.t.Fatal(err)
	}
	config := c.CachedInfo().Config
	config.AckWait = wait
	if _, err := js.UpdateConsumer(w.t.Context(), bus.StreamEvents, config); err != nil {
		w.t.Fatal(err)
	}
}

// TestWhatWasPulledTooLongAgoIsNotSent has one of two senders stand still with what it has pulled, until the other has got it again
// and sent it with all that follows.
func TestWhatWasPulledTooLongAgoIsNotSent(t *testing.T) {
	for _, order := range []recipient.Order{recipient.Strict, recipient.Unordered} {
		t.Run(fmt.Sprint(order), func(t *testing.T) {
			w := newFixture(t)
			w.recipient("r", func(r *recipient.Recipient) { r.Order = order })
			w.ackWait("r", shortAckWait)
			late := &lateQueue{Queue: queue.New(w.conn), letGo: make(chan struct{})}
			w.queue = late
			var overdue atomic.Int64
			w.ended = func(r delivery.Report) {
				if r.Verdict.Reason == reasons.Overdue {
					overdue.Add(1)
				}
			}
			w.run()
			w.publish("e-1")
			w.until("the first sender has pulled it", func() bool { return late.pulled.Load() == 1 })
			other := w.beside()
			other.run()
			w.publish("e-2", "e-3")
			for _, id := range []string{"e-1", "e-2", "e-3"} {
				w.final("r", id, "")
			}
			close(late.letGo)
			w.until("the first sender has given it up", func() bool { return overdue.Load() >= 1 })
			w.publish("e-4")
			w.final("r", "e-4", "")
			w.drained("r")
			if got := w.attempts("r"); slices.Contains(got, "e-1") {
				t.Errorf("the first sender sent %v, after the other had sent %v", got, other.attempts("r"))
			}
			if got := append(w.attempts("r"), other.attempts("r")...); len(got) != 4 {
				t.Errorf("4 events were sent as %v", got)
			}
		})
	}
}

// TestWhatWaitsTooLongIsNotSent has the lease end while a message waits in the engine, behind another, and within the attempt.
func TestWhatWaitsTooLongIsNotSent(t *testing.T) {
	w := newFixture(t)
	w.recipient("r", func(r *recipient.Recipient) { r.RateLimit = recipient.RateLimit{Limit: 1, Period: time.Second} })
	w.ackWait("r", shortAckWait)
	var turns atomic.Int64
	w.turn = func(context.Context, *recipient.Recipient) time.Duration {
		if turns.Add(1) < 3 {
			return shortAckWait * 7 / 10
		}
		return 0
	}
	var mu sync.Mutex
	var left []time.Duration
	w.send = func(d *delivery.Delivery) delivery.Outcome {
		mu.Lock()
		defer mu.Unlock()
		left = append(left, d.Lease.Left(time.Now()))
		return delivery.Outcome{Status: 200}
	}
	w.run()
	w.publish("e-1")
	if rec := w.final("r", "e-1", ""); rec.Attempt != 1 {
		t.Errorf("it took %d attempts", rec.Attempt)
	}
	if len(left) != 1 || left[0] <= 0 || turns.Load() < 3 {
		t.Errorf("it was sent with %v left, after %d turns", left, turns.Load())
	}
}

// TestAnAttemptThatIsOverdueLeavesNoTrace has a channel find, last before it sends, that the lease is over.
func TestAnAttemptThatIsOverdueLeavesNoTrace(t *testing.T) {
	w := newFixture(t)
	w.recipient("r")
	w.ackWait("r", shortAckWait)
	var tries atomic.Int64
	w.send = func(d *delivery.Delivery) delivery.Outcome {
		if tries.Add(1) > 1 {
			return delivery.Outcome{Status: 200}
		}
		w.until("the lease is over", d.Lease.Over)
		return delivery.Outcome{Fault: delivery.FaultOverdue}
	}
	w.run()
	w.publish("e-1")
	if rec := w.final("r", "e-1", ""); rec.Attempt != 1 || rec.State != delivery.StateDelivered {
		t.Errorf("it ended as %s after %d attempts, want one that counts", rec.State, rec.Attempt)
	}
}

// TestALeaseCountsByBothClocks counts time in which the process stood still, and time in which the machine did.
func TestALeaseCountsByBothClocks(t *testing.T) {
	now := time.Now()
	l := lease.Lease{Since: now, AckWait: 45 * time.Second}
	suspended := now.Add(time.Minute).Round(0) // the wall clock alone
	for name, x := range map[string]struct {
		at   time.Time
		over bool
	}{
		"at once": {now, false}, "after 42 s": {now.Add(42 * time.Second), false}, "after 43 s": {now.Add(43 * time.Second), true},
		"by the wall clock": {suspended, true}, "the wall clock set back": {now.Add(-time.Hour).Round(0), false},
	} {
		if got := l.Left(x.at) <= 0; got != x.over {
			t.Errorf("%s: over is %v", name, got)
		}
	}
	if (lease.Lease{}).Over() {
		t.Error("a lease without an ack wait ends")
	}
}
