package config_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bus/queue"
	"github.com/outbound-events/outbound/pkg/bustest"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/waittest"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// accept stores an event, and answers whether EVENTS took it.
func (h *fixture) accept(p *bus.Publisher, n int) bool {
	h.t.Helper()
	raw := fmt.Appendf(nil, `{"specversion":"1.0","id":"e-%d","source":"a1","type":"support_conference_end","time":%q,"data":{"text":%q}}`,
		n, time.Now().UTC().Format(time.RFC3339Nano), strings.Repeat("x", 20_000))
	e, faults := event.Decode(raw)
	if len(faults) > 0 {
		h.t.Fatal(faults)
	}
	_, err := p.Accept(h.ctx(), e)
	if err != nil && !errors.Is(err, bus.ErrFull) {
		h.t.Fatal(err)
	}
	return err == nil
}

// drink takes and settles all that a queue hands out.
func (h *fixture) drink(id string) {
	h.t.Helper()
	q, err := queue.New(h.bus).Open(h.ctx(), recipient.HTTP, id)
	if err != nil {
		h.t.Fatal(err)
	}
	defer q.Close()
	h.eventually("the queue of "+id+" is empty", func() bool {
		if err := q.Pull(h.ctx(), 64, 100*time.Millisecond, func(m delivery.Message) { _ = m.Settler.Ack() }); err != nil {
			h.t.Fatal(err)
		}
		b, err := control.New(h.bus).Backlog(h.ctx(), recipient.HTTP, id)
		return err == nil && b.Total() == 0
	})
}

func TestAPurgeCountsAndMarks(t *testing.T) {
	h := start(t)
	p := bus.NewPublisher(h.bus)
	t.Cleanup(p.Close)
	id := h.create(httpRecipient("Ticket system")).GetId()
	purge := func(q *outboundv1.PurgeRecipientRequest) (*outboundv1.PurgeRecipientResponse, error) {
		q.Id = id
		return h.admin.PurgeRecipient(h.ctx(), q)
	}
	if r, err := purge(&outboundv1.PurgeRecipientRequest{}); err != nil || r.GetCancelled() != 0 || h.stored(id).GetPurgedThrough() != 0 {
		t.Errorf("an empty queue: %v, %v", r, err)
	}
	for i := range 5 {
		h.accept(p, i)
	}
	h.waits(id, 5)
	if r, err := purge(&outboundv1.PurgeRecipientRequest{ValidateOnly: true}); err != nil || r.GetCancelled() != 5 ||
		h.stored(id).GetPurgedThrough() != 0 {
		t.Errorf("counting: %v, %v", r, err)
	}
	_, err := purge(&outboundv1.PurgeRecipientRequest{ExpectedCount: proto.Int64(4)})
	wantCode(t, err, codes.FailedPrecondition)
	if !strings.Contains(err.Error(), "5 deliveries are pending") || h.stored(id).GetPurgedThrough() != 0 {
		t.Errorf("a count that is too low: %v", err)
	}
	before := h.stored(id)
	if r, err := purge(&outboundv1.PurgeRecipientRequest{ExpectedCount: proto.Int64(5)}); err != nil || r.GetCancelled() != 5 {
		t.Errorf("purging: %v, %v", r, err)
	}
	if s := h.stored(id); s.GetPurgedThrough() != 5 || s.GetRevision() != before.GetRevision() {
		t.Errorf("it is stored as %v", s)
	}
	if r := h.revisions("recipients/"+id, 0)[0]; told(r) != "recipients/"+id+" purged by admin" {
		t.Errorf("it is told as %q", told(r))
	}
	_, err = h.admin.PurgeRecipient(h.ctx(), &outboundv1.PurgeRecipientRequest{Id: "nobody"})
	wantCode(t, err, codes.NotFound)
}

// TestOneSickRecipientDoesNotFillTheQueueForAll fills EVENTS while one recipient takes nothing and another all.
func TestOneSickRecipientDoesNotFillTheQueueForAll(t *testing.T) {
	h := start(t)
	small := bustest.StreamOptions()
	small.EventsMaxBytes = 2 << 20
	if err := h.bus.EnsureStreams(h.ctx(), small); err != nil {
		t.Fatal(err)
	}
	p := bus.NewPublisher(h.bus)
	t.Cleanup(p.Close)
	sick, well := h.create(httpRecipient("Sick")).GetId(), h.create(httpRecipient("Well")).GetId()
	n := 0
	for fill := 0.0; fill < 0.92; n++ {
		if !h.accept(p, n) {
			t.Fatal("EVENTS is full already")
		}
		room, err := control.New(h.bus).StreamState(h.ctx(), bus.StreamEvents)
		if err != nil {
			t.Fatal(err)
		}
		fill = room.Fill()
	}
	h.drink(well)
	h.eventually("the sick one is marked", func() bool { return h.stored(sick).GetBacklogThrough() > 0 })
	s := h.stored(sick)
	if through := s.GetBacklogThrough(); through > uint64(n)/4 || s.GetBacklogTime() == nil {
		t.Errorf("of %d events those up to %d are cut, at %v", n, through, s.GetBacklogTime())
	}
	if got := h.stored(well).GetBacklogThrough(); got != 0 {
		t.Errorf("the one that took all is cut up to %d", got)
	}
	// A sender ends what is cut, and there is room again.
	q, err := queue.New(h.bus).Open(h.ctx(), recipient.HTTP, sick)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	if err := q.Pull(h.ctx(), int(s.GetBacklogThrough()), waittest.Limit, func(m delivery.Message) { _ = m.Settler.Ack() }); err != nil {
		t.Fatal(err)
	}
	h.eventually("the beginning can be purged", func() bool {
		if _, err := control.New(h.bus).PurgeFinished(h.ctx()); err != nil {
			t.Fatal(err)
		}
		room, err := control.New(h.bus).StreamState(h.ctx(), bus.StreamEvents)
		return err == nil && room.Fill() < 0.85
	})
	if !h.accept(p, n) {
		t.Error("there is no room though it was made")
	}
}

// TestARecipientIsCutOnlyForOthers has EVENTS fill while there is one recipient: it refuses, and gives nothing up that was accepted
// until there is another that needs the room.
func TestARecipientIsCutOnlyForOthers(t *testing.T) {
	h := start(t)
	small := bustest.StreamOptions()
	small.EventsMaxBytes = 1 << 20
	if err := h.bus.EnsureStreams(h.ctx(), small); err != nil {
		t.Fatal(err)
	}
	p := bus.NewPublisher(h.bus)
	t.Cleanup(p.Close)
	id := h.create(httpRecipient("Slow")).GetId()
	for n := 0; h.accept(p, n); n++ {
		if n > 1000 {
			t.Fatal("EVENTS never fills")
		}
	}
	if h.stored(id).GetBacklogThrough() != 0 {
		t.Error("it is cut though it is alone")
	}
	other := h.create(httpRecipient("Later")).GetId()
	h.eventually("it is cut, for the other", func() bool { return h.stored(id).GetBacklogThrough() > 0 })
	if h.stored(other).GetBacklogThrough() != 0 {
		t.Error("the one that waits for nothing is cut")
	}
}
