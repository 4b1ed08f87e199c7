package search

import (
	"context"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/pkg/telemetry"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

const (
	// tailTick is the pause between two messages of a tail.
	tailTick = 250 * time.Millisecond
	// tailBatch and tailBytes bound one message: clients take 4 MiB.
	tailBatch = 500
	tailBytes = 3 << 20
)

// Tail sends records as they come. The first message is empty and says that the stream is open. The log is read from where
// the last message ended, so that nothing is missed while the broker is away.
func (s *Searcher) Tail(
	ctx context.Context, req *outboundv1.TailDeliveriesRequest, send func(*outboundv1.TailDeliveriesResponse) error,
) error {
	asked := proto.CloneOf(req.GetFilter())
	if asked == nil {
		asked = &outboundv1.ListDeliveriesRequest{}
	}
	asked.StartTime, asked.EndTime = nil, nil
	f, err := s.tailFilter(ctx, asked)
	if err != nil {
		return err
	}
	last, err := s.Log.LastSequence(ctx)
	if err != nil {
		return err
	}
	if err := send(&outboundv1.TailDeliveriesResponse{}); err != nil {
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
		batch, next, err := s.tailResponse(ctx, f, last, away)
		if err != nil && ctx.Err() == nil {
			if !away {
				s.Logger.WarnContext(ctx, "read of the log for a tail failed, retrying", telemetry.KeyError, err.Error())
			}
			away = true
			continue
		}
		away, last = false, next
		if batch.GetMissed() == 0 && len(batch.GetDeliveries()) == 0 {
			continue
		}
		if err := send(batch); err != nil {
			return err
		}
	}
}

// tailFilter checks and converts a filter of records that are still to come.
func (s *Searcher) tailFilter(ctx context.Context, asked *outboundv1.ListDeliveriesRequest) (deliverylog.AttemptFilter, error) {
	if err := checkFilter(asked); err != nil {
		return deliverylog.AttemptFilter{}, err
	}
	if asked.GetState() == outboundv1.DeliveryState_WAITING {
		return deliverylog.AttemptFilter{}, rpc.InvalidArgument(rpc.Violation{
			Field: "filter.state", Reason: "NO_RECORD",
			Description: "WAITING deliveries have no records to stream: remove the state filter, or use another state",
		})
	}
	f := filterOf(asked)
	if asked.GetEventId() == "" {
		return f, nil
	}
	return f, s.narrow(ctx, asked.GetEventId(), &f)
}

// tailResponse returns what was recorded after a sequence, and the last sequence that was read. again says that the broker was away: it
// may have lost the end of the log, and uses those sequences again.
func (s *Searcher) tailResponse(
	ctx context.Context, f deliverylog.AttemptFilter, last uint64, again bool,
) (*outboundv1.TailDeliveriesResponse, uint64, error) {
	if again {
		end, err := s.Log.LastSequence(ctx)
		if err != nil {
			return nil, last, err
		}
		last = min(last, end)
	}
	out := &outboundv1.TailDeliveriesResponse{}
	bytes := 0
	next, err := s.Log.Behind(ctx, f, last, func(r deliverylog.StoredRecord) {
		one := s.Delivery(r)
		if bytes += proto.Size(one); len(out.GetDeliveries()) == tailBatch || bytes > tailBytes {
			out.Missed++
			return
		}
		out.Deliveries = append(out.Deliveries, one)
	})
	return out, next, err
}
