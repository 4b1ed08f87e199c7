package changes

import (
	"context"
	"errors"
	"fmt"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bus/queue"
	"github.com/outbound-events/outbound/pkg/health"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/recipient/maintenance"
	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/history/internal/lookup"
)

// Searcher lists deliveries.
type Searcher interface {
	ListDeliveries(ctx context.Context, req *outboundv1.ListDeliveriesRequest) (*outboundv1.ListDeliveriesResponse, error)
}

// Prober has recipients attempted at once that are paused by their breakers.
type Prober struct {
	*Changer
	Search Searcher
}

// Recipient makes the newest delivery that is retried to a recipient due now, and has the senders probe with what waits for its first
// attempt.
func (p *Prober) Recipient(ctx context.Context, req *outboundv1.ProbeRecipientRequest) (*outboundv1.ProbeRecipientResponse, error) {
	id := req.GetId()
	if err := lookup.AwaitConfig(ctx, p.Config); err != nil {
		return nil, err
	}
	r, ok := p.Config.Find(ctx, id)
	if !ok || r.Deleting {
		return nil, rpc.NotFound("recipient", id)
	}
	if !r.Enabled {
		return nil, rpc.FailedPrecondition("DISABLED", fmt.Sprintf("recipient %s is disabled: enable it first", id))
	}
	if err := p.waits(ctx, r); err != nil {
		return nil, err
	}
	judge, held := sendNow, false
	if b, open := r.InMaintenance(p.Bus.Now()); open {
		if judge, held = attemptInMaintenance, true; !req.GetDuringMaintenance() {
			return nil, rpc.FailedPrecondition("MAINTENANCE", fmt.Sprintf("recipient %s is in maintenance until %s: set duringMaintenance "+
				"(--during-maintenance) to make an attempt now", id, maintenance.TimeIn(b.End, p.Bus.Now(), b.Zone)))
		}
	}
	st, err := control.NewHealthStore(p.Bus).Get(ctx, r.Channel(), id)
	if err != nil {
		return nil, rpc.Unavailable(fmt.Sprintf("read the health of recipient %s: %v", id, err))
	}
	resp := &outboundv1.ProbeRecipientResponse{BreakerOpen: st.Status.Health == health.Failing && st.Status.BreakerOpen}
	found, err := p.Search.ListDeliveries(ctx, &outboundv1.ListDeliveriesRequest{
		RecipientId: id, State: outboundv1.DeliveryState_RETRYING, PageSize: 1,
	})
	if err != nil {
		return nil, err
	}
	if all := found.GetDeliveries(); len(all) > 0 {
		resp.Delivery = &outboundv1.RetryDeliveriesRequest_Target{RecipientId: id, EventId: all[0].GetEventId(), ReplayId: all[0].GetReplayId()}
		if _, err := p.change(ctx, []*outboundv1.RetryDeliveriesRequest_Target{resp.GetDelivery()}, judge); err != nil {
			return nil, err
		}
	}
	if held && resp.GetDelivery() == nil {
		return nil, rpc.FailedPrecondition("NOTHING_WAITING",
			fmt.Sprintf("no delivery is being retried to recipient %s, and new ones are held: send a test event with duringMaintenance", id))
	}
	if err := queue.New(p.Bus).Expedite(r.Channel(), id, nil); err != nil {
		return nil, rpc.Unavailable(err.Error())
	}
	return resp, nil
}

// waits returns an error if nothing waits for a recipient.
func (p *Prober) waits(ctx context.Context, r *recipient.Recipient) error {
	b, err := control.New(p.Bus).Backlog(ctx, r.Channel(), r.ID)
	switch {
	case err != nil && !errors.Is(err, bus.ErrNotFound):
		return rpc.Unavailable(fmt.Sprintf("read the queue of recipient %s: %v", r.ID, err))
	case b.Waiting+b.Unsettled == 0:
		return rpc.FailedPrecondition("NOTHING_WAITING",
			fmt.Sprintf("no delivery waits for recipient %s, so there is nothing to attempt: send a test event", r.ID))
	default:
		return nil
	}
}
