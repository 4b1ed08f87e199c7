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
	"github.com/outbound-events/outbound/pkg/bus/eventlog"
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
	if s := h.stored(id); s.GetPurgedThrough() != h.lastSequence() || s.GetRevision() != before.GetRevision() {
		t.Errorf("it is stored as %v", s)
	}
	if r := h.revisions("recipients/"+id, 0)[0]; told(r) != "recipients/"+id+" purged by admin" {
		t.Errorf("it is told as %q", told(r))
	}
	_, err = h.admin.PurgeRecipient(h.ctx(), &outboundv1.PurgeRecipientRequest{Id: "nobody"})
	wantCode(t, err, codes.NotFound)
}

// fillTo publishes events, from a number on, until EVENTS is as full as that, and returns the next number.
func (h *fixture) fillTo(p *bus.Publisher, n int, share float64) int {
	h.t.Helper()
	for ; h.eventsFill() < share; n++ {
		if !h.accept(p, n) {
			h.t.Fatal("EVENTS is full already")
		}
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

// smallEvents makes EVENTS small.
func (h *fixture) smallEvents(size int64) *bus.Publisher {
	h.t.Helper()
	small := bustest.StreamOptions()
	small.EventsMaxBytes = size
	if err := h.bus.EnsureStreams(h.ctx(), small); err != nil {
		h.t.Fatal(err)
	}
	p := bus.NewPublisher(h.bus)
	h.t.Cleanup(p.Close)
	return p
}

// lastSequence is the last sequence of EVENTS.
func (h *fixture) lastSequence() uint64 {
	h.t.Helper()
	last, err := eventlog.New(h.bus).LastSequence(h.ctx())
	if err != nil {
		h.t.Fatal(err)
	}
	return last
}

// cancelledAsMarked waits until a recipient is marked, and all its deliveries up to there are recorded as cancelled, and nothing else. In
// front of all events, EVENTS has what each recipient selects.
func (h *fixture) cancelledAsMarked(log *deliverylog.Log, id string) {
	h.t.Helper()
	all, err := h.admin.ListRecipients(h.ctx(), &outboundv1.ListRecipientsRequest{PageSize: 100})
	if err != nil {
		h.t.Fatal(err)
	}
	selections := len(all.GetRecipients())
	h.eventually("the beginning of the queue of "+id+" is cancelled", func() bool {
		through := h.stored(id).GetBacklogThrough()
		recs, err := log.Attempts(h.ctx(), deliverylog.AttemptFilter{Recipient: id}, 0, 10_000)
		if err != nil {
			h.t.Fatal(err)
		}
		for _, r := range recs {
			if r.State != delivery.StateCancelled || r.Reason != reasons.Backlog || r.Record.Sequence > through {
				h.t.Fatalf("%s is cut up to %d, and this is recorded: %+v", id, through, r)
			}
		}
		return through > 0 && uint64(len(recs)+selections) == through
	})
}

// TestSickRecipientsDoNotFillTheQueueForAll fills EVENTS while one recipient takes all, and others nothing, each in its way. No sender
// runs: what a killed one had pulled is out for the ack wait.
func TestSickRecipientsDoNotFillTheQueueForAll(t *testing.T) {
	h := start(t)
	p := h.smallEvents(2 << 20)
	log := deliverylog.New(h.bus)
	t.Cleanup(log.Close)
	strict := httpRecipient("Strict")
	strict.GetHttp().Order = outboundv1.HttpRecipient_Order_STRICT
	hold := httpRecipient("Held")
	hold.WhileDisabled = outboundv1.Recipient_WhileDisabled_HOLD
	well, away := h.create(httpRecipient("Well")).GetId(), h.create(httpRecipient("Away")).GetId()
	ordered, held, mail := h.create(strict).GetId(), h.create(hold).GetId(), h.create(emailRecipient("Mail")).GetId()
	if err := h.enable(h.ctx(), held, false); err != nil {
		t.Fatal(err)
	}
	n := h.fillTo(p, 0, 0.89)
	h.drink(well)
	in := h.seize(recipient.HTTP, away, n/2)
	h.seize(recipient.HTTP, ordered, 1)
	began := time.Now()
	n = h.fillTo(p, n, 0.98)
	h.drink(well)
	h.eventually("there is room", func() bool { return h.eventsFill() < 0.85 })
	took := time.Since(began)
	t.Logf("%d events, room after %s", n, took)
	if took > bus.AckWait {
		t.Errorf("room came after %s: it waited for what a sender had in hand", took)
	}
	for _, id := range []string{away, ordered, held, mail} {
		h.cancelledAsMarked(log, id)
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

// TestWhatIsBeingSentIsNotCutWhileThereIsRoom fills EVENTS to where recipients that lag are cut. The one whose events are all in a sender's
// hands is not, and room comes once it has settled them.
func TestWhatIsBeingSentIsNotCutWhileThereIsRoom(t *testing.T) {
	h := start(t)
	p := h.smallEvents(2 << 20)
	well, sending := h.create(httpRecipient("Well")).GetId(), h.create(httpRecipient("Sending")).GetId()
	away := h.create(httpRecipient("Away")).GetId()
	n := h.fillTo(p, 0, 0.89)
	h.drink(well)
	in := h.seize(recipient.HTTP, sending, n/2)
	h.fillTo(p, n, 0.91)
	h.drink(well)
	h.eventually("the one that lags is cut", func() bool { return h.stored(away).GetBacklogThrough() > 0 })
	if got := h.stored(sending).GetBacklogThrough(); got != 0 {
		t.Errorf("what is being sent is cut up to %d", got)
	}
	for _, m := range in {
		if err := m.Settler.Ack(); err != nil {
			t.Fatal(err)
		}
	}
	h.eventually("there is room", func() bool { return h.eventsFill() < 0.85 })
	if got := h.stored(sending).GetBacklogThrough(); got != 0 {
		t.Errorf("what was sent is cut up to %d", got)
	}
}

// TestARecipientIsCutOnlyForOthers has EVENTS fill while there is one recipient: it refuses, and gives nothing up that was accepted
// until there is another that needs the room.
func TestARecipientIsCutOnlyForOthers(t *testing.T) {
	h := start(t)
	p := h.smallEvents(1 << 20)
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
