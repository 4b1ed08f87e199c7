package timeseries

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/history/internal/lookup"
	"github.com/outbound-events/outbound/services/history/internal/protofield"
)

// completeWait bounds how long a call waits until the log has been counted.
const completeWait = 3 * time.Second

var errCounting = rpc.Unavailable("the delivery log is still being counted, because the history service has just started: " +
	"try again in a moment")

// Reader answers what happened.
type Reader struct {
	Counter *Counter
	*Queues
}

// Read returns what happened to a recipient, or to all together for an empty id.
func (s *Reader) Read(ctx context.Context, req *outboundv1.GetTimeSeriesRequest) (*outboundv1.TimeSeries, error) {
	id := req.GetRecipientId()
	if id != "" {
		if err := lookup.AwaitConfig(ctx, s.Config); err != nil {
			return nil, err
		}
		if _, ok := s.Config.Find(ctx, id); !ok {
			return nil, rpc.NotFound("recipient", id)
		}
	}
	if err := s.awaitCounted(ctx); err != nil {
		return nil, err
	}
	which, r := resolutionOf(req.GetRange())
	now := s.Bus.Now()
	facts := s.Counter.read(id, which, r, now)
	waiting := s.read(id, r, facts.first)
	out := &outboundv1.TimeSeries{
		RecipientId: id, Range: r.Range, Interval: durationpb.New(r.Interval), ReadTime: timestamppb.New(now),
		Points: make([]*outboundv1.TimeSeriesPoint, r.Slots), KnownSinceTime: protofield.Timestamp(facts.since),
	}
	var total sum
	longest := int64(-1)
	for i := range facts.points {
		x := &facts.points[i]
		out.Points[i] = point(x, r.start(facts.first+int64(i)), waiting[i])
		total.merge(x)
		longest = max(longest, waiting[i])
	}
	out.Total = point(&total, r.start(facts.first), longest)
	return out, nil
}

// awaitCounted waits a moment until all that is stored has been counted.
func (s *Reader) awaitCounted(ctx context.Context) error {
	wait, cancel := context.WithTimeout(ctx, completeWait)
	defer cancel()
	select {
	case <-s.Counter.Complete():
		return nil
	case <-wait.Done():
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("wait until all deliveries are counted: %w", err)
		}
		return errCounting
	}
}

// merge adds what happened in another interval. Nothing is lost, because all histograms have the same bounds.
func (s *sum) merge(x *sum) {
	s.delivered += x.delivered
	s.failedAttempts += x.failedAttempts
	s.failedDeliveries += x.failedDeliveries
	for i, n := range x.latencies {
		s.latencies[i] += n
	}
}

// point is the message of what happened; waiting is -1 if it is not known.
func point(x *sum, start time.Time, waiting int64) *outboundv1.TimeSeriesPoint {
	p := &outboundv1.TimeSeriesPoint{
		StartTime: timestamppb.New(start), Delivered: x.delivered, FailedAttempts: x.failedAttempts, FailedDeliveries: x.failedDeliveries,
	}
	if d, ok := x.latencies.quantile(0.5); ok {
		p.LatencyP50 = durationpb.New(d)
	}
	if d, ok := x.latencies.quantile(0.95); ok {
		p.LatencyP95 = durationpb.New(d)
	}
	if waiting >= 0 {
		p.Waiting = proto.Int64(waiting)
	}
	return p
}
