package config_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/bus/queue"
	"github.com/outbound-events/outbound/pkg/configclient"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/filter"
	"github.com/outbound-events/outbound/pkg/recipient"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// lag is a connection to the config service whose streams can be held up.
type lag struct {
	grpc.ClientConnInterface
	asked atomic.Int64

	mu   sync.Mutex
	gate chan struct{}
}

func newLag(to grpc.ClientConnInterface) *lag {
	l := &lag{ClientConnInterface: to, gate: make(chan struct{})}
	close(l.gate)
	return l
}

// hold keeps back what streams send from now on, until release.
func (l *lag) hold() (release func()) {
	gate := make(chan struct{})
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gate = gate
	return sync.OnceFunc(func() { close(gate) })
}

func (l *lag) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	l.asked.Add(1)
	return l.ClientConnInterface.Invoke(ctx, method, args, reply, opts...)
}

func (l *lag) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	s, err := l.ClientConnInterface.NewStream(ctx, desc, method, opts...)
	return &lagStream{ClientStream: s, l: l}, err
}

type lagStream struct {
	grpc.ClientStream
	l *lag
}

func (s *lagStream) RecvMsg(m any) error {
	if err := s.ClientStream.RecvMsg(m); err != nil {
		return err
	}
	s.l.mu.Lock()
	gate := s.l.gate
	s.l.mu.Unlock()
	select {
	case <-gate:
		return nil
	case <-s.Context().Done():
		return s.Context().Err()
	}
}

// sender delivers through the engine, to nobody.
type sender struct {
	h    *fixture
	log  *deliverylog.Log
	stop func()

	mu sync.Mutex
	// states are what each event came to, in the order in which that was recorded.
	states map[string][]delivery.State
}

// deliver runs an engine by what a config service tells over a connection. Without bookmarks it is one of an earlier release.
func (h *fixture) deliver(conn grpc.ClientConnInterface, bookmarks bool) *sender {
	h.t.Helper()
	s := &sender{h: h, log: deliverylog.New(h.bus), states: map[string][]delivery.State{}}
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	c := configclient.New(conn, configclient.Options{Channel: recipient.HTTP, Bookmarks: bookmarks, Sealer: h.sealer, Logger: quiet})
	filters, err := filter.NewCache()
	if err != nil {
		h.t.Fatal(err)
	}
	e, err := delivery.NewEngine(delivery.EngineOptions{
		Channel: recipient.HTTP, Sender: s, Recipients: c, Queue: queue.New(h.bus), Log: s.log, Observer: s, Since: h.bus.Since,
		Matches: filters.Matches, Freshness: c,
	})
	if err != nil {
		h.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = c.Run(ctx) })
	wg.Go(func() {
		<-c.Ready()
		if err := e.Run(ctx); err != nil {
			h.t.Error(err)
		}
	})
	<-c.Ready()
	s.stop = sync.OnceFunc(func() { cancel(); wg.Wait(); s.log.Close() })
	h.t.Cleanup(s.stop)
	return s
}

func (s *sender) Send(context.Context, *delivery.Delivery) delivery.Outcome {
	return delivery.Outcome{Status: 200, Began: time.Now()}
}

func (s *sender) Judge(*delivery.Delivery, delivery.Outcome) delivery.Verdict {
	return delivery.Verdict{Kind: delivery.Delivered, Reason: reasons.OK}
}

func (s *sender) Begin(ctx context.Context, _ *delivery.Delivery) context.Context { return ctx }
func (s *sender) End(_ context.Context, r delivery.Report)                        { s.Ended(r) }

func (s *sender) Ended(r delivery.Report) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.State != "" {
		s.states[r.Delivery.Event.ID] = append(s.states[r.Delivery.Event.ID], r.State)
	}
}

// became is what an event came to; empty as long as that is open.
func (s *sender) became(id string) delivery.State {
	s.mu.Lock()
	defer s.mu.Unlock()
	if of := s.states[id]; len(of) > 0 {
		return of[0]
	}
	return ""
}

func (s *sender) ended() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.states)
}

// TestAnEventAfterAnAnsweredChangeIsNotSkipped has the sender's watch lag: the change is answered, the event accepted after it, and the
// sender has the event before it hears of the change.
func TestAnEventAfterAnAnsweredChangeIsNotSkipped(t *testing.T) {
	for name, x := range map[string]struct {
		begin  func(r *outboundv1.Recipient)
		change func(h *fixture) error
	}{
		"enabled": {func(r *outboundv1.Recipient) { r.Enabled = new(false) }, func(h *fixture) error { return h.enable(h.ctx(), "r", true) }},
		"type added": {func(r *outboundv1.Recipient) { r.EventTypes = []string{typeAdded} }, func(h *fixture) error {
			return h.setTypes(h.ctx(), "r", typeAdded, typeEnd)
		}},
		"filter loosened": {func(r *outboundv1.Recipient) { r.Filter = `event.id == "other"` }, func(h *fixture) error {
			return h.tryUpdate(h.ctx(), &outboundv1.Recipient{Id: "r", Filter: "true"}, "filter")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t)
			in := httpRecipient("R")
			in.EventTypes = []string{typeEnd}
			x.begin(in)
			h.create(in)
			p := bus.NewPublisher(h.bus)
			t.Cleanup(p.Close)
			l := newLag(h.conn)
			s := h.deliver(l, true)
			h.event(p, typeEnd, "before")
			if slices.Contains(in.GetEventTypes(), typeEnd) {
				h.eventually("what came before the change is skipped", func() bool { return s.became("before") == delivery.StateSkipped })
			}
			release := l.hold()
			defer release()
			if err := x.change(h); err != nil {
				t.Fatal(err)
			}
			asked := l.asked.Load()
			h.event(p, typeEnd, "after")
			h.eventually("the sender has the event and asks what it may not know", func() bool { return l.asked.Load() > asked })
			if got := s.became("after"); got != "" {
				t.Errorf("it is %s by what the sender knew before the change", got)
			}
			release()
			h.eventually("it is delivered", func() bool { return s.became("after") == delivery.StateDelivered })
		})
	}
}

// TestAFilterThatDropsNearlyAllKeepsUp publishes events of which a hundredth passes, and counts what each came to.
func TestAFilterThatDropsNearlyAllKeepsUp(t *testing.T) {
	const n = 2_000
	for _, bookmarks := range []bool{false, true} {
		t.Run(fmt.Sprintf("bookmarks %v", bookmarks), func(t *testing.T) {
			h := start(t)
			in := httpRecipient("R")
			in.EventTypes, in.Filter = []string{typeEnd}, `event.id.endsWith("00")`
			h.create(in)
			l := newLag(h.conn)
			s := h.deliver(l, bookmarks)
			p := bus.NewPublisher(h.bus)
			t.Cleanup(p.Close)
			began := time.Now()
			h.publishMany(p, n)
			published := time.Since(began)
			h.eventually("all have come to an end", func() bool { return s.ended() == n })
			took := time.Since(began)
			t.Logf("published in %v, ended in %v (%.0f/s), %d bookmarks asked for", published, took, n/took.Seconds(), l.asked.Load())
			// A request in 20 ms, at most, is what it costs.
			if most := int64(took/(20*time.Millisecond)) + 2; l.asked.Load() > most {
				t.Errorf("%d bookmarks were asked for in %v", l.asked.Load(), took)
			}
			s.stop()
			counts := map[string]int{}
			for id, of := range s.states {
				want := delivery.StateSkipped
				if strings.HasSuffix(id, "00") {
					want = delivery.StateDelivered
				}
				if len(of) != 1 || of[0] != want {
					t.Errorf("%s came to %v, want %s once", id, of, want)
				}
				counts[string(of[0])]++
			}
			if counts["SKIPPED"] != n*99/100 || counts["DELIVERED"] != n/100 {
				t.Errorf("they came to %v", counts)
			}
			log := deliverylog.New(h.bus)
			t.Cleanup(log.Close)
			records, err := log.Attempts(h.ctx(), deliverylog.AttemptFilter{Recipient: "r", State: delivery.StateSkipped}, 0, 2*n)
			if err != nil || len(records) != n*99/100 {
				t.Errorf("%d are recorded SKIPPED (%v)", len(records), err)
			}
		})
	}
}

// publishMany stores events e-0000 and so on, 64 at once.
func (h *fixture) publishMany(p *bus.Publisher, n int) {
	h.t.Helper()
	var wg sync.WaitGroup
	var next atomic.Int64
	for range 64 {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				if _, err := p.Accept(h.t.Context(), newEvent(h.t, typeEnd, fmt.Sprintf("e-%04d", i))); err != nil {
					h.t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}
