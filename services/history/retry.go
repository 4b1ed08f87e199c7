package history

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/oklog/ulid/v2"
	"golang.org/x/sync/errgroup"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// replay is an event to be sent to a recipient again.
type replay struct {
	recipient string
	event     *event.Event
}

// storesAtOnce is how many replays are stored at once; the group committer joins them.
const storesAtOnce = 64

// RetryDeliveries stores each event again for its recipient, under one replay id. Either all targets exist, or nothing is
// stored.
func (d *deliveries) RetryDeliveries(ctx context.Context, req *outboundv1.RetryDeliveriesRequest) (*outboundv1.RetryDeliveriesResponse, error) {
	if err := d.s.configured(ctx); err != nil {
		return nil, err
	}
	replays, err := d.replays(ctx, req)
	if err != nil {
		return nil, err
	}
	id := ulid.Make().String()
	var queued atomic.Int32
	g, storing := errgroup.WithContext(ctx)
	g.SetLimit(storesAtOnce)
	alone := alone(replays)
	for _, r := range replays {
		g.Go(func() error {
			kept, err := d.s.Publisher.Replay(storing, r.recipient, r.event, bus.Replay{ID: id, Actor: rpc.Actor(ctx), Expedite: alone[r.recipient]})
			if err != nil {
				return err
			}
			queued.Add(1)
			if alone[r.recipient] {
				// It is queued. If nobody hears that it is waited for, it comes with the rest.
				_ = d.s.settle(storing, pendingSettlements{r.recipient: {expedites: {kept.Sequence}}})
			}
			return nil
		})
	}
	err = g.Wait()
	switch {
	case errors.Is(err, bus.ErrFull):
		return nil, rpc.Full("EVENTS_FULL", fmt.Sprintf("the queue is full: %d of %d deliveries were queued for retry as replay %s; retry the others later",
			queued.Load(), len(replays), id))
	case err != nil:
		return nil, rpc.Unavailable(fmt.Sprintf("at least %d of %d deliveries were queued for retry as replay %s: %v", queued.Load(), len(replays), id, err))
	default:
		return &outboundv1.RetryDeliveriesResponse{ReplayId: id, Queued: queued.Load()}, nil
	}
}

// alone tells the recipients that are sent one event again: somebody waits for it. Of those that are sent many, each comes when its
// turn does.
func alone(replays []replay) map[string]bool {
	out := make(map[string]bool, len(replays))
	for _, r := range replays {
		_, more := out[r.recipient]
		out[r.recipient] = !more
	}
	return out
}

// replays finds the targets, each once.
func (d *deliveries) replays(ctx context.Context, req *outboundv1.RetryDeliveriesRequest) ([]replay, error) {
	known := map[target]bool{}
	stored := map[string]*event.Event{}
	var out []replay
	for i, t := range req.GetDeliveries() {
		to := target{recipient: t.GetRecipientId(), key: t.GetEventId()}
		if known[to] {
			continue
		}
		known[to] = true
		if r, ok := d.s.Config.Find(ctx, to.recipient); !ok || r.Deleting {
			return nil, rpc.NotFound("recipient", to.recipient)
		}
		e := stored[to.key]
		if e == nil {
			var err error
			if e, err = d.s.storedEvent(ctx, to.key, fmt.Sprintf("deliveries[%d].eventId", i)); err != nil && t.GetReplayId() != "" {
				// A test has no acceptance: it is found by its own record.
				e, err = d.s.replayedEvent(ctx, t, err)
			}
			if err != nil {
				return nil, err
			}
			stored[to.key] = e
		}
		out = append(out, replay{to.recipient, e})
	}
	return out, nil
}

// storedEvent reads an event back by its key. field is where the key stands in the request.
func (s *Service) storedEvent(ctx context.Context, key, field string) (*event.Event, error) {
	appliance, id, ok := event.SplitKey(key)
	if !ok || !safe(appliance+id, "") {
		return nil, rpc.InvalidArgument(rpc.Violation{
			Field: field, Reason: event.ReasonUnsafe, Description: "is not an event key: use <appliance>~<event id>",
		})
	}
	sequence, err := s.sequenceOf(ctx, appliance, id)
	if err != nil {
		return nil, err
	}
	if sequence == 0 {
		return nil, rpc.NotFound("event", key)
	}
	e, err := s.Bus.StoredEvent(ctx, sequence)
	if errors.Is(err, bus.ErrNotFound) || err == nil && e.Key() != key {
		return nil, rpc.NotFound("stored event", key)
	}
	return e, err
}

// replayedEvent reads an event back by the record of a replay or test; missing is the answer if there is none.
func (s *Service) replayedEvent(ctx context.Context, t *outboundv1.RetryDeliveriesRequest_Target, missing error) (*event.Event, error) {
	appliance, id, ok := event.SplitKey(t.GetEventId())
	if !ok || !safe(t.GetRecipientId()+appliance+id+t.GetReplayId(), "") {
		return nil, missing
	}
	found, err := s.Log.Attempts(ctx, bus.AttemptFilter{Recipient: t.GetRecipientId(), Appliance: appliance, EventID: filed(id, t.GetReplayId())}, 0, 1)
	if err != nil || len(found) == 0 {
		return nil, cmp.Or(err, missing)
	}
	e, err := s.Bus.StoredEvent(ctx, found[0].Record.Sequence)
	if errors.Is(err, bus.ErrNotFound) || err == nil && e.Key() != t.GetEventId() {
		return nil, missing
	}
	return e, err
}

// sequenceOf finds where an event is stored: by its acceptance, or by a delivery if that is not in the log. 0: nowhere.
func (s *Service) sequenceOf(ctx context.Context, appliance, id string) (uint64, error) {
	rec, ok, err := s.Log.Intake(ctx, appliance, id)
	if err != nil || ok {
		return rec.Sequence, err
	}
	found, err := s.Log.Attempts(ctx, bus.AttemptFilter{Appliance: appliance, EventID: id}, 0, 1)
	if err != nil || len(found) == 0 {
		return 0, err
	}
	return found[0].Record.Sequence, nil
}
