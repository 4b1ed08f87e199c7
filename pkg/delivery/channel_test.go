package delivery_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/bus/queue"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/health"
	"github.com/outbound-events/outbound/pkg/recipient"
)

// toy is a third channel. All that the core knows of it is here.
const toy recipient.Channel = "toy"

// toyTarget is the target of a toy recipient.
type toyTarget struct {
	box      string
	needsKey bool
}

func (t *toyTarget) Channel() recipient.Channel { return toy }
func (t *toyTarget) Destination() string        { return t.box }
func (t *toyTarget) NeedsExternalKey() bool     { return t.needsKey }

// toySender puts events into boxes. A box that is shut takes none.
type toySender struct {
	mu    sync.Mutex
	shut  bool
	boxes map[string][]string
}

func (s *toySender) Send(_ context.Context, d *delivery.Delivery) delivery.Outcome {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := delivery.Outcome{Began: time.Now()}
	to, ok := d.Recipient.Other.(*toyTarget)
	if ok && !s.shut {
		o.Status = 1
		s.boxes[to.box] = append(s.boxes[to.box], d.Event.ID)
	}
	o.Took = time.Since(o.Began)
	return o
}

func (s *toySender) Judge(_ *delivery.Delivery, o delivery.Outcome) delivery.Verdict {
	if o.Status == 1 {
		return delivery.Verdict{Kind: delivery.Delivered, Reason: reasons.OK}
	}
	return delivery.Verdict{Kind: delivery.Retry, Reason: reasons.Connect, Detail: "the box is shut"}
}

func (s *toySender) set(shut bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shut = shut
}

func (s *toySender) in(box string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.boxes[box])
}

// runToy runs the engine and the monitor of the channel.
func (w *fixture) runToy(s *toySender) {
	w.t.Helper()
	observer, stop, err := health.Start(context.Background(), health.Options{Channel: toy, Recipients: w.dir,
		Store: control.NewHealthStore(w.conn), Observer: w, Holder: "toy-sender", Tick: 20 * time.Millisecond})
	if err != nil {
		w.t.Fatal(err)
	}
	e, err := delivery.NewEngine(delivery.EngineOptions{Channel: toy, Sender: s, Recipients: w.dir, Queue: queue.New(w.conn), Log: w.log,
		Observer: observer, Since: w.conn.Since})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	w.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Errorf("run: %v", err)
		}
		stop()
	})
}

func (w *fixture) toyHealth(id string) health.Status {
	w.t.Helper()
	e, err := control.NewHealthStore(w.conn).Get(w.t.Context(), toy, id)
	if err != nil {
		w.t.Fatal(err)
	}
	return e.Status
}

func TestThirdChannelIsDeliveredRetriedRecordedAndMonitored(t *testing.T) {
	w := newFixture(t)
	s := &toySender{shut: true, boxes: map[string][]string{}}
	r := w.recipient("bear", func(r *recipient.Recipient) { r.HTTP, r.Other = nil, &toyTarget{box: "red"} })
	w.recipient("strict", func(r *recipient.Recipient) { r.HTTP, r.Other = nil, &toyTarget{box: "blue", needsKey: true} })
	w.recipient("web") // the engine of another channel has this one
	if name := bus.ConsumerName(r.Channel(), r.ID); name != "toy-bear" {
		t.Fatalf("consumer %s, want toy-bear", name)
	}
	listed, err := control.New(w.conn).Consumers(t.Context())
	if err != nil || !listed.Fits(r, false) {
		t.Fatalf("consumers %v, %v: want that of the toy recipient", listed.Names(), err)
	}
	w.runToy(s)
	w.publish("e1")

	w.until("the first attempt is recorded and the recipient fails", func() bool {
		rec, _, err := w.log.Latest(t.Context(), "bear", w.event("e1"), "")
		return err == nil && rec.State == delivery.StateRetrying && rec.Channel == "toy" && w.toyHealth("bear").Health == health.Failing
	})
	if got := w.toyHealth("bear"); got.Reason != reasons.Connect || got.Detail != "the box is shut" {
		t.Errorf("health while the box is shut: %+v", got)
	}
	s.set(false)
	rec := w.final("bear", "e1", "")
	if rec.State != delivery.StateDelivered || rec.Channel != "toy" || rec.Attempt < 2 || s.in("red") != 1 {
		t.Errorf("recorded %+v with %d events in the box, want one delivered by a later attempt", rec, s.in("red"))
	}
	w.until("the recipient is healthy", func() bool { return w.toyHealth("bear").Health == health.OK })
	if rec := w.final("strict", "e1", ""); rec.Reason != reasons.NoExternalKey || rec.Channel != "toy" || s.in("blue") != 0 {
		t.Errorf("without an external key: %+v", rec)
	}
	w.toySettled(t, r)
}

// toySettled checks that the queue is empty and that the records are found by their channel, and those of no other.
func (w *fixture) toySettled(t *testing.T, r *recipient.Recipient) {
	t.Helper()
	w.until("the queue is empty", func() bool {
		b, err := control.New(w.conn).Backlog(t.Context(), toy, r.ID)
		return err == nil && b.Total() == 0
	})
	other, err := control.New(w.conn).Backlog(t.Context(), recipient.HTTP, "web")
	if err != nil || other.Total() != 1 {
		t.Errorf("the queue of the HTTP recipient: %+v, %v, want its event waiting", other, err)
	}
	last, err := w.log.LastSequence(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	within := deliverylog.Range{Before: last + 1, Until: last}
	for channel, want := range map[string]bool{"toy": true, "http": false} {
		found, err := w.log.SearchAttempts(deliverylog.AttemptFilter{Channel: channel}, within).Next(t.Context(), 10)
		if err != nil || len(found) > 0 != want {
			t.Errorf("%d records of channel %s, %v", len(found), channel, err)
		}
	}
	all, err := control.NewHealthStore(w.conn).All(t.Context())
	if err != nil || all.Of(r).LastDelivered.IsZero() {
		t.Errorf("statuses %+v, %v: want that of the toy recipient", all, err)
	}
}
