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
	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/bus/queue"
	"github.com/outbound-events/outbound/pkg/bustest"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/recipient"
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

// fillTo publishes events until EVENTS is as full as that, and returns how many it holds.
func (h *fixture) fillTo(p *bus.Publisher, share float64) (n int) {
	h.t.Helper()
	for fill := 0.0; fill < share; n++ {
		if !h.accept(p, n) {
			h.t.Fatal("EVENTS is full already")
		}
		fill = h.eventsFill()
	}
	return n
}

func (h *fixture) eventsFill() float64 {
	h.t.Helper()
	room, err := control.New(h.bus).StreamState(h.ctx(), bus.StreamEvents)
	if err != nil {
		h.t.Fatal(err)
	}
	return room.Fill()
}

// seize takes messages of a queue and does nothing with them, like a sender that is killed then.
func (h *fixture) seize(ch recipient.Channel, id string, n int) (taken []delivery.Message) {
	h.t.Helper()
	q, err := queue.New(h.bus).Open(h.ctx(), ch, id)
	if err != nil {
		h.t.Fatal(err)
	}
	h.eventually("messages are taken", func() bool {
		err := q.Pull(h.ctx(), n-len(taken), time.Second, func(m delivery.Message) { taken = append(taken, m) })
		return err == nil && len(taken) == n
	})
	h.t.Cleanup(q.Close)
	return taken
}

// TestSickRecipientsDoNotFillTheQueueForAll fills EVENTS while one recipient takes all, and others nothing, each in its way. No sender runs:
// what a killed one had pulled is out for the ack wait.
func TestSickRecipientsDoNotFillTheQueueForAll(t *testing.T) {
	h := start(t)
	small := bustest.StreamOptions()
	small.EventsMaxBytes = 2 << 20
	if err := h.bus.EnsureStreams(h.ctx(), small); err != nil {
		t.Fatal(err)
	}
	p := bus.NewPublisher(h.bus)
	t.Cleanup(p.Close)
	log := deliverylog.New(h.bus)
	t.Cleanup(log.Close)
	strict := httpRecipient("Strict")
	strict.GetHttp().Order = outboundv1.HttpRecipient_Order_STRICT
	hold := httpRecipient("Held")
	hold.WhileDisabled = outboundv1.Recipient_WhileDisabled_HOLD
	well, away, ordered, held := h.create(httpRecipient("Well")).GetId(), h.create(httpRecipient("Away")).GetId(), h.create(strict).GetId(),
		h.create(hold).GetId()
	mail := h.create(emailRecipient("Mail")).GetId()
	if err := h.enable(h.ctx(), held, false); err != nil {
		t.Fatal(err)
	}
	n := h.fillTo(p, 0.89)
	h.drink(well)
	in := h.seize(recipient.HTTP, away, n/2)
	h.seize(recipient.HTTP, ordered, 1)
	began := time.Now()
	for fill := h.eventsFill(); fill < 0.91; n++ {
		if !h.accept(p, n) {
			t.Fatal("EVENTS is full already")
		}
		fill = h.eventsFill()
	}
	h.drink(well)
	h.eventually("there is room", func() bool { return h.eventsFill() < 0.85 })
	took := time.Since(began)
	t.Logf("%d events, room after %s", n, took)
	if took > bus.AckWait {
		t.Errorf("room came after %s: it waited for what a sender has in hand", took)
	}
	gone := 0
	h.eventually("the recipients are marked", func() bool {
		gone = int(h.stored(away).GetBacklogThrough()) //nolint:gosec // a small number
		return gone > 0
	})
	for _, id := range []string{away, ordered, held, mail} {
		state := map[delivery.State]int{}
		recs, err := log.Attempts(h.ctx(), deliverylog.AttemptFilter{Recipient: id}, 0, 10*n)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range recs {
			state[r.State]++
		}
		through := int(h.stored(id).GetBacklogThrough()) //nolint:gosec // a small number
		if through == 0 || len(recs) != through || state[delivery.StateCancelled] != through {
			t.Errorf("%s: %d events were cut, and %v recorded", id, through, state)
		}
	}
	if got := h.stored(well).GetBacklogThrough(); got != 0 {
		t.Errorf("the one that took all is cut up to %d", got)
	}
	// A sender that was stopped, not killed, finds that what it had in hand is over.
	late := make(chan error, 1)
	rec := delivery.Record{Recipient: away, Channel: "http", EventID: in[0].Event.ID, Appliance: in[0].Event.Appliance, Type: in[0].Event.Type,
		Sequence: in[0].Sequence, State: delivery.StateRetrying, Reason: reasons.Timeout, Attempt: 1, LastAttempt: &began}
	log.AppendAttempt(rec, func(err error) { late <- err })
	if err := <-late; err == nil {
		t.Error("an attempt is recorded after the delivery was cancelled")
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
