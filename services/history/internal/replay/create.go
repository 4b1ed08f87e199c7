package replay

import (
	"context"
	"fmt"

	"github.com/oklog/ulid/v2"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bus/eventlog"
	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/history/internal/lookup"
)

// defaultRate is how many deliveries a replay queues per second if the caller gives no rate.
const defaultRate = 50

// newJob makes a job of a request, or returns what is wrong with it.
func (s *Replayer) newJob(ctx context.Context, asked *outboundv1.Replay) (*job, error) {
	if err := lookup.AwaitConfig(ctx, s.Config); err != nil {
		return nil, err
	}
	if faults := s.faults(asked); len(faults) > 0 {
		return nil, rpc.InvalidArgument(faults...)
	}
	if to := asked.GetToRecipientId(); to != "" && !s.found(ctx, to) {
		return nil, rpc.NotFound(kindRecipient, to)
	}
	r, _ := proto.Clone(asked).(*outboundv1.Replay)
	now := s.Bus.Now()
	id, err := ulid.New(ulid.Timestamp(now), ulid.DefaultEntropy()) // in the order of creation, whichever process creates it
	if err != nil {
		return nil, fmt.Errorf("create the id of a replay: %w", err)
	}
	r.Id, r.Actor, r.CreateTime, r.FinishTime = id.String(), rpc.Actor(ctx), timestamppb.New(now), nil
	r.State, r.Total, r.Queued, r.Unavailable, r.Detail = outboundv1.Replay_RUNNING, 0, 0, 0, ""
	if r.Rate == 0 {
		r.Rate = defaultRate
	}
	j := &job{replay: r}
	if err := s.bounds(ctx, j); err != nil {
		return nil, rpc.Unavailable(fmt.Sprintf("the range of the replay can't be determined: %v", err))
	}
	return j, nil
}

const kindRecipient = "recipient"

// faults returns what is wrong with a replay beyond the rules in the API.
func (s *Replayer) faults(r *outboundv1.Replay) (out []rpc.Violation) {
	fault := func(field, reason, text string) {
		out = append(out, rpc.Violation{Field: "replay." + field, Reason: reason, Description: text})
	}
	d := r.GetDeliveries()
	for _, x := range []struct{ field, value string }{
		{"toRecipientId", r.GetToRecipientId()}, {"deliveries.recipientId", d.GetRecipientId()}, {"deliveries.eventType", d.GetEventType()},
		{"deliveries.applianceId", d.GetApplianceId()}, {"deliveries.sessionId", d.GetSessionId()},
	} {
		if !lookup.ValidID(x.value, "") {
			out = append(out, lookup.InvalidID("replay."+x.field))
		}
	}
	switch d.GetState() {
	case outboundv1.DeliveryState_WAITING, outboundv1.DeliveryState_RETRYING:
		fault("deliveries.state", "NOT_FINAL", "pending deliveries can't be replayed: choose a final state, or use deliveries:sendNow")
	default:
	}
	switch {
	case r.GetSource() == nil:
		fault("deliveries", "MISSING", "set deliveries (a filter) or backfill")
	case r.GetBackfill() != nil && r.GetToRecipientId() == "":
		fault("toRecipientId", "MISSING", "set the recipient to send events to")
	default:
	}
	for _, x := range []struct {
		field      string
		start, end *timestamppb.Timestamp
	}{{"deliveries", d.GetStartTime(), d.GetEndTime()}, {"backfill", r.GetBackfill().GetStartTime(), r.GetBackfill().GetEndTime()}} {
		if x.start != nil && x.end != nil && !x.start.AsTime().Before(x.end.AsTime()) {
			fault(x.field+".endTime", "BEFORE_START", "must be later than startTime")
		}
	}
	return out
}

// bounds sets where a job begins and ends in its stream: what comes later is not part of it.
func (s *Replayer) bounds(ctx context.Context, j *job) error {
	usage, err := control.New(s.Bus).StreamState(ctx, bus.StreamEvents)
	if err != nil {
		return err
	}
	j.Behind, j.Next = usage.LastSequence, 1
	if b := j.replay.GetBackfill(); b != nil {
		j.Until = usage.LastSequence
		at, found, err := eventlog.New(s.Bus).EventSequenceAt(ctx, b.GetStartTime().AsTime())
		if err != nil {
			return err
		}
		j.Next = at
		if !found {
			j.Next = j.Until + 1
		}
		return nil
	}
	if j.Until, err = s.Log.LastSequence(ctx); err != nil {
		return err
	}
	d := j.replay.GetDeliveries()
	if d.GetStartTime() != nil {
		at, found, err := s.Log.SequenceAt(ctx, d.GetStartTime().AsTime())
		if err != nil {
			return err
		}
		j.Next = at
		if !found {
			j.Next = j.Until + 1
		}
	}
	if d.GetEndTime() != nil {
		at, found, err := s.Log.SequenceAt(ctx, d.GetEndTime().AsTime())
		if err != nil {
			return err
		}
		if found {
			j.Until = min(j.Until, at-1)
		}
	}
	return nil
}
