package changes

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/oklog/ulid/v2"
	"golang.org/x/sync/errgroup"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/history/internal/lookup"
)

// replay is an event to send to a recipient again.
type replay struct {
	recipient string
	event     *event.Event
}

// storesAtOnce is how many replays are stored at once; the group committer joins them.
const storesAtOnce = 64

// Retry stores each event again for its recipient, under one replay id. Either all targets exist, or nothing is
// stored.
func (c *Changer) Retry(ctx context.Context, req *outboundv1.RetryDeliveriesRequest) (*outboundv1.RetryDeliveriesResponse, error) {
	if err := lookup.AwaitConfig(ctx, c.Config); err != nil {
		return nil, err
	}
	replays, err := c.replays(ctx, req)
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
			kept, err := c.Publisher.Replay(storing, r.recipient, r.event,
				bus.Replay{ID: id, Actor: rpc.Actor(ctx), Expedite: alone[r.recipient]})
			if err != nil {
				return err
			}
			queued.Add(1)
			if alone[r.recipient] {
				// It is queued. If no sender learns that it is urgent, it comes with the rest.
				_ = c.settle(storing, pendingSettlements{r.recipient: {expedites: {kept.Sequence}}})
			}
			return nil
		})
	}
	err = g.Wait()
	switch {
	case errors.Is(err, bus.ErrFull):
		return nil, rpc.Full("EVENTS_FULL", fmt.Sprintf("the queue is full: %d of %d deliveries were queued for retry as replay %s; retry "+
			"the others later",
			queued.Load(), len(replays), id))
	case err != nil:
		return nil, rpc.Unavailable(fmt.Sprintf("at least %d of %d deliveries were queued for retry as replay %s: %v", queued.Load(),
			len(replays), id, err))
	default:
		return &outboundv1.RetryDeliveriesResponse{ReplayId: id, Queued: queued.Load()}, nil
	}
}

// alone returns the recipients that are sent one event again: that one is sent at once. Many events for one recipient come in turn.
func alone(replays []replay) map[string]bool {
	out := make(map[string]bool, len(replays))
	for _, r := range replays {
		_, more := out[r.recipient]
		out[r.recipient] = !more
	}
	return out
}

// replays finds the targets, each once.
func (c *Changer) replays(ctx context.Context, req *outboundv1.RetryDeliveriesRequest) ([]replay, error) {
	known := map[target]bool{}
	stored := map[string]*event.Event{}
	var out []replay
	for i, t := range req.GetDeliveries() {
		to := target{recipient: t.GetRecipientId(), key: t.GetEventId()}
		if known[to] {
			continue
		}
		known[to] = true
		if r, ok := c.Config.Find(ctx, to.recipient); !ok || r.Deleting {
			return nil, rpc.NotFound("recipient", to.recipient)
		}
		e := stored[to.key]
		if e == nil {
			var err error
			if e, err = c.storedEvent(ctx, to.key, fmt.Sprintf("deliveries[%d].eventId", i)); err != nil && t.GetReplayId() != "" {
				// A test has no acceptance: it is found by its own record.
				e, err = c.replayedEvent(ctx, t, err)
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

// storedEvent reads an event by its key. field is the field of the request with the key.
func (c *Changer) storedEvent(ctx context.Context, key, field string) (*event.Event, error) {
	appliance, id, ok := event.SplitKey(key)
	if !ok || !lookup.ValidKey(appliance, id) {
		return nil, rpc.InvalidArgument(lookup.InvalidKey(field))
	}
	sequence, err := c.Events.Sequence(ctx, appliance, id)
	if err != nil {
		return nil, err
	}
	if sequence == 0 {
		return nil, rpc.NotFound("event", key)
	}
	e, err := c.Events.StoredEvent(ctx, sequence, key)
	if err == nil && e == nil {
		return nil, rpc.NotFound("stored event", key)
	}
	return e, err
}

// replayedEvent reads an event by the record of a replay or test. It returns missing if there is none.
func (c *Changer) replayedEvent(ctx context.Context, t *outboundv1.RetryDeliveriesRequest_Target, missing error) (*event.Event, error) {
	appliance, id, ok := event.SplitKey(t.GetEventId())
	if !ok || !lookup.ValidKey(appliance, id) || !lookup.ValidID(t.GetRecipientId()+t.GetReplayId(), "") {
		return nil, missing
	}
	found, err := c.Log.Attempts(ctx, deliverylog.AttemptFilter{
		Recipient: t.GetRecipientId(), Appliance: appliance, EventID: lookup.AttemptID(id, t.GetReplayId()),
	}, 0, 1)
	if err != nil || len(found) == 0 {
		return nil, cmp.Or(err, missing)
	}
	e, err := c.Events.StoredEvent(ctx, found[0].Record.Sequence, t.GetEventId())
	if err == nil && e == nil {
		return nil, missing
	}
	return e, err
}
