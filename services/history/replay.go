package history

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// defaultRate is how many deliveries a replay queues per second if nobody says.
const defaultRate = 50

// PreviewReplay tells what a replay would be about, as far as it can be counted in one call.
func (d *deliveries) PreviewReplay(ctx context.Context, req *outboundv1.PreviewReplayRequest) (*outboundv1.PreviewReplayResponse, error) {
	j, err := d.s.newJob(ctx, req.GetReplay())
	if err != nil {
		return nil, err
	}
	resp, err := d.s.preview(ctx, j)
	if err != nil {
		return nil, rpc.Unavailable(fmt.Sprintf("the replay could not be counted: %v", err))
	}
	return resp, nil
}

// CreateReplay stores a replay; a history service runs it.
func (d *deliveries) CreateReplay(ctx context.Context, req *outboundv1.CreateReplayRequest) (*outboundv1.Replay, error) {
	j, err := d.s.newJob(ctx, req.GetReplay())
	if err != nil {
		return nil, err
	}
	if err := d.s.add(ctx, j); err != nil {
		return nil, rpc.Unavailable(fmt.Sprintf("the replay could not be stored: %v", err))
	}
	select {
	case d.s.newReplay <- struct{}{}:
	default:
	}
	return j.replay, nil
}

// GetReplay gets one replay.
func (d *deliveries) GetReplay(ctx context.Context, req *outboundv1.GetReplayRequest) (*outboundv1.Replay, error) {
	j, err := d.s.alter(ctx, req.GetId(), func(*job) bool { return false })
	return replayOr(j, req.GetId(), err)
}

// ListReplays lists all replays, newest first.
func (d *deliveries) ListReplays(ctx context.Context, _ *outboundv1.ListReplaysRequest) (*outboundv1.ListReplaysResponse, error) {
	all, err := d.s.jobs(ctx)
	if err != nil {
		return nil, rpc.Unavailable(fmt.Sprintf("the replays can't be read: %v", err))
	}
	resp := &outboundv1.ListReplaysResponse{}
	for _, j := range slices.Backward(all) {
		resp.Replays = append(resp.Replays, j.replay)
	}
	return resp, nil
}

func replayOr(j *job, id string, err error) (*outboundv1.Replay, error) {
	switch {
	case errors.Is(err, bus.ErrNotFound):
		return nil, rpc.NotFound("replay", id)
	case err != nil:
		return nil, rpc.Unavailable(fmt.Sprintf("replay %s can't be read or changed: %v", id, err))
	default:
		return j.replay, nil
	}
}

// newJob makes a job of what a caller asks for, or says what is wrong with it.
func (s *Service) newJob(ctx context.Context, asked *outboundv1.Replay) (*job, error) {
	if err := s.configured(ctx); err != nil {
		return nil, err
	}
	if faults := s.faults(asked); len(faults) > 0 {
		return nil, rpc.InvalidArgument(faults...)
	}
	if to := asked.GetToRecipientId(); to != "" && !s.found(ctx, to) {
		return nil, rpc.NotFound(kindRecipient, to)
	}
	r, _ := proto.Clone(asked).(*outboundv1.Replay)
	r.Id, r.Actor, r.CreateTime, r.FinishTime = ulid.Make().String(), rpc.Actor(ctx), timestamppb.Now(), nil
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

// faults are what is wrong with a replay beyond the rules of the contract.
func (s *Service) faults(r *outboundv1.Replay) (out []rpc.Violation) {
	fault := func(field, reason, text string) {
		out = append(out, rpc.Violation{Field: "replay." + field, Reason: reason, Description: text})
	}
	d := r.GetDeliveries()
	for _, x := range []struct{ field, value string }{
		{"toRecipientId", r.GetToRecipientId()}, {"deliveries.recipientId", d.GetRecipientId()}, {"deliveries.eventType", d.GetEventType()},
		{"deliveries.applianceId", d.GetApplianceId()}, {"deliveries.sessionId", d.GetSessionId()},
	} {
		if !safe(x.value, "") {
			out = append(out, unsafe("replay."+x.field))
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

// bounds says where a job begins and ends in its stream: what comes later is not the job's.
func (s *Service) bounds(ctx context.Context, j *job) error {
	room, err := s.Bus.StreamUsage(ctx)
	if err != nil {
		return err
	}
	j.Behind, j.Next = room.Last, 1
	if b := j.replay.GetBackfill(); b != nil {
		j.Until = room.Last
		at, found, err := s.Bus.EventSequenceAt(ctx, b.GetStartTime().AsTime())
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

// How much a preview looks at, and how much of it at once.
const (
	previewLooks  = 16
	previewPage   = 500
	previewCounts = 10_000
)

// preview counts what a job is about.
func (s *Service) preview(ctx context.Context, j *job) (*outboundv1.PreviewReplayResponse, error) {
	src := s.source(j.replay, j.Until)
	room, err := s.Bus.StreamUsage(ctx)
	if err != nil {
		return nil, err
	}
	resp := &outboundv1.PreviewReplayResponse{}
	had := newDeliveredSet(s)
	seen := map[string]bool{}
	var oldest time.Time
	for next, looked := j.Next, 0; next > 0 && !resp.More; looked += previewPage {
		items, then, err := src.find(ctx, next, previewPage)
		if err != nil {
			return nil, err
		}
		next = then
		items = slices.DeleteFunc(items, func(i item) bool {
			twice := seen[i.id()]
			seen[i.id()] = true
			return twice
		})
		for _, i := range items {
			resp.Count++
			if i.gone || i.sequence < room.First {
				resp.Unavailable++
			}
			if oldest.IsZero() || i.accepted.Before(oldest) {
				oldest = i.accepted
			}
		}
		n, err := had.count(ctx, items)
		if err != nil {
			return nil, err
		}
		resp.AlreadyDelivered += n
		resp.More = next > 0 && (resp.Count >= previewCounts || looked+previewPage >= s.o.MaxScan)
	}
	resp.OldestTime = timestamp(oldest)
	resp.EstimatedDuration = durationpb.New(time.Duration(resp.Count-resp.Unavailable) * time.Second / time.Duration(j.replay.GetRate()))
	return resp, nil
}

// count says how many of some deliveries their recipients have had before.
func (p *deliveredSet) count(ctx context.Context, items []item) (n int64, err error) {
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(previewLooks)
	for _, i := range items {
		g.Go(func() error {
			had := i.had
			if !had {
				var err error
				if had, err = p.delivered(ctx, i.to, i.event); err != nil {
					return err
				}
			}
			if had {
				mu.Lock()
				defer mu.Unlock()
				n++
			}
			return nil
		})
	}
	err = g.Wait()
	return n, err
}
