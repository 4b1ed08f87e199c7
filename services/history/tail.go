package history

import (
	"context"
	"log/slog"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

const (
	// tailTick is the pause between two messages of a tail.
	tailTick = 250 * time.Millisecond
	// tailBatch and tailBytes bound one message: clients take 4 MiB.
	tailBatch = 500
	tailBytes = 3 << 20
)

// TailDeliveries tells records as they come. The first message is empty and says that the stream stands. The log is read from where
// the last message ended, so that nothing is missed while the broker is away; it is waited for.
func (d *deliveries) TailDeliveries(req *outboundv1.TailDeliveriesRequest, stream outboundv1.DeliveryService_TailDeliveriesServer) error {
	ctx := stream.Context()
	asked := proto.CloneOf(req.GetFilter())
	if asked == nil {
		asked = &outboundv1.ListDeliveriesRequest{}
	}
	asked.StartTime, asked.EndTime = nil, nil
	f, err := d.tailFilter(ctx, asked)
	if err != nil {
		return err
	}
	last, err := d.s.Log.LastSequence(ctx)
	if err != nil {
		return err
	}
	if err := stream.Send(&outboundv1.TailDeliveriesResponse{}); err != nil {
		return err
	}
	tick := time.NewTicker(tailTick)
	defer tick.Stop()
	for away := false; ; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		batch, next, err := d.tailResponse(ctx, f, last, away)
		if err != nil && ctx.Err() == nil {
			if !away {
				slog.WarnContext(ctx, "read of the log for a tail failed, retrying", "error", err.Error())
			}
			away = true
			continue
		}
		away, last = false, next
		if batch.GetMissed() == 0 && len(batch.GetDeliveries()) == 0 {
			continue
		}
		if err := stream.Send(batch); err != nil {
			return err
		}
	}
}

// tailFilter reads a filter whose matches will come.
func (d *deliveries) tailFilter(ctx context.Context, asked *outboundv1.ListDeliveriesRequest) (bus.AttemptFilter, error) {
	if err := checkFilter(asked); err != nil {
		return bus.AttemptFilter{}, err
	}
	if asked.GetState() == outboundv1.DeliveryState_WAITING {
		return bus.AttemptFilter{}, rpc.InvalidArgument(rpc.Violation{
			Field: "filter.state", Reason: "NO_RECORD", Description: "WAITING deliveries have no records to stream: remove the state filter, or use another state",
		})
	}
	f := filterOf(asked)
	if asked.GetEventId() == "" {
		return f, nil
	}
	return f, d.s.narrow(ctx, asked.GetEventId(), &f)
}

// tailResponse is what was recorded behind a sequence, and the last one that was looked at. again says that the broker was away: it may have
// lost the end of the log, whose sequences it then uses again.
func (d *deliveries) tailResponse(ctx context.Context, f bus.AttemptFilter, last uint64, again bool) (*outboundv1.TailDeliveriesResponse, uint64, error) {
	if again {
		end, err := d.s.Log.LastSequence(ctx)
		if err != nil {
			return nil, last, err
		}
		last = min(last, end)
	}
	out := &outboundv1.TailDeliveriesResponse{}
	bytes := 0
	next, err := d.s.Log.Behind(ctx, f, last, func(r bus.StoredRecord) {
		one := d.s.deliveryOf(r)
		if bytes += proto.Size(one); len(out.GetDeliveries()) == tailBatch || bytes > tailBytes {
			out.Missed++
			return
		}
		out.Deliveries = append(out.Deliveries, one)
	})
	return out, next, err
}
