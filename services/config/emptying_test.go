package config_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bus/queue"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/waittest"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// asksAbout matches a request for a consumer's state.
func asksAbout(id string) func(subject, body string) bool {
	return func(subject, _ string) bool { return subject == "$JS.API.CONSUMER.INFO.EVENTS.http-"+id }
}

// TestAPurgeUndoesNoChangeMadeMeanwhile changes a recipient after the pass that empties its queue has read it, and before that pass
// is done with the queue.
func TestAPurgeUndoesNoChangeMadeMeanwhile(t *testing.T) {
	for name, x := range map[string]struct {
		begin  func(r *outboundv1.Recipient)
		change func(h *fixture) error
	}{
		"a type is added": {func(*outboundv1.Recipient) {}, func(h *fixture) error { return h.setTypes(h.ctx(), "r", typeEnd, typeAdded) }},
		"a hold is lifted": {func(r *outboundv1.Recipient) {
			r.Enabled, r.WhileDisabled = proto.Bool(false), outboundv1.Recipient_WhileDisabled_HOLD
		}, func(h *fixture) error { return h.enable(h.ctx(), "r", true) }},
		"a hold begins": {func(r *outboundv1.Recipient) { r.WhileDisabled = outboundv1.Recipient_WhileDisabled_HOLD }, func(h *fixture) error {
			return h.enable(h.ctx(), "r", false)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			h, proxy := behindProxy(t)
			h.run()
			in := httpRecipient("R")
			in.EventTypes = []string{typeEnd}
			x.begin(in)
			h.create(in)
			h.passed()
			p := bus.NewPublisher(h.bus)
			t.Cleanup(p.Close)
			h.event(p, typeEnd, "e1")
			h.waits("r", 1)
			// The purge itself asks once, then the pass does.
			held := proxy.Hold(1, asksAbout("r"))
			if _, err := h.admin.PurgeRecipient(h.ctx(), &outboundv1.PurgeRecipientRequest{Id: "r"}); err != nil {
				t.Fatal(err)
			}
			<-held.Arrived
			if _, err := h.jet().ResumeConsumer(h.ctx(), bus.StreamEvents, "http-r"); err != nil {
				t.Fatal(err)
			}
			h.drainOne("http-r")
			if err := x.change(h); err != nil {
				t.Fatal(err)
			}
			held.Release()
			h.passed()
			h.passed()
			if wrong := h.asSaid("r"); wrong != "" {
				t.Error(wrong)
			}
		})
	}
}

// TestPurgesAndChangesAtOnce purges many recipients, changes them while their queues are emptied, and looks at each consumer and at
// what it gets afterwards.
func TestPurgesAndChangesAtOnce(t *testing.T) {
	const many, rounds = 120, 2
	h := start(t)
	p := bus.NewPublisher(h.bus)
	t.Cleanup(p.Close)
	ids := make([]string, many)
	for i := range ids {
		in := httpRecipient(fmt.Sprintf("R %d", i))
		in.EventTypes, in.WhileDisabled = []string{typeEnd}, outboundv1.Recipient_WhileDisabled_HOLD
		ids[i] = h.create(in).GetId()
	}
	stopDraining := h.drainAll(ids)
	for round := range rounds {
		each(t, ids, func(ctx context.Context, id string) error {
			return h.tryUpdate(ctx, &outboundv1.Recipient{Id: id, EventTypes: []string{typeEnd}, Enabled: proto.Bool(false)},
				"event_types", "enabled")
		})
		last := h.event(p, typeEnd, fmt.Sprintf("before-%d", round))
		h.eventually("the event waits for all", func() bool { return h.lacks(ids, last) == "" })
		each(t, ids, func(ctx context.Context, id string) error {
			_, err := h.admin.PurgeRecipient(ctx, &outboundv1.PurgeRecipientRequest{Id: id})
			return err
		})
		each(t, ids, func(ctx context.Context, id string) error {
			r := &outboundv1.Recipient{Id: id, EventTypes: []string{typeEnd, typeAdded}, Enabled: proto.Bool(true)}
			return h.tryUpdate(ctx, r, "event_types", "enabled")
		})
		h.passed()
		for _, id := range ids {
			if wrong := h.asSaid(id); wrong != "" {
				t.Errorf("round %d, recipient %s: %s", round, id, wrong)
			}
		}
	}
	stopDraining()
	last := h.event(p, typeAdded, "after")
	h.eventually("the event of the new type reaches every queue", func() bool { return h.lacks(ids, last) == "" })
}

// each does something for each recipient, eight at once.
func each(t *testing.T, ids []string, do func(ctx context.Context, id string) error) {
	t.Helper()
	ctx, cancel := waittest.Context(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	next := make(chan string)
	for range 8 {
		wg.Go(func() {
			for id := range next {
				if err := do(ctx, id); err != nil {
					t.Errorf("recipient %s: %v", id, err)
				}
			}
		})
	}
	for _, id := range ids {
		next <- id
	}
	close(next)
	wg.Wait()
}

// lacks is a recipient whose queue has not got an event yet, empty if there is none.
func (h *fixture) lacks(ids []string, sequence uint64) string {
	h.t.Helper()
	all, err := control.NewBacklogs(h.bus).All(h.ctx())
	if err != nil {
		h.t.Fatal(err)
	}
	for _, id := range ids {
		if b := all["http-"+id]; b.Waiting == 0 && b.Given < sequence {
			return id
		}
	}
	return ""
}

// drainAll acknowledges what the queues hand out, as senders do with what is purged, until stop is called.
func (h *fixture) drainAll(ids []string) (stop func()) {
	h.t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(h.t.Context()))
	var wg sync.WaitGroup
	for _, id := range ids {
		q, err := queue.New(h.bus).Open(ctx, recipient.HTTP, id)
		if err != nil {
			h.t.Fatal(err)
		}
		wg.Go(func() {
			defer q.Close()
			for ctx.Err() == nil {
				if err := q.Pull(ctx, 8, time.Second, func(m delivery.Message) { _ = m.Settler.Ack() }); err != nil {
					return
				}
			}
		})
	}
	stop = sync.OnceFunc(func() { cancel(); wg.Wait() })
	h.t.Cleanup(stop)
	return stop
}
