package config

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// PurgeRecipient implements outboundv1.RecipientServiceServer. It marks how far the queue is emptied; the senders record what waits
// there as CANCELLED, which reconciling sees to.
func (s recipientServer) PurgeRecipient(ctx context.Context, q *outboundv1.PurgeRecipientRequest) (*outboundv1.PurgeRecipientResponse, error) {
	r, err := s.active(ctx, q.GetId())
	if err != nil {
		return nil, err
	}
	// What is counted includes what the mark covers, since the mark is read first.
	through, err := within(ctx, s.bus.LastSequence)
	if err != nil {
		return nil, failed(ctx, err)
	}
	h, err := s.bus.Head(ctx, channel(r), r.id())
	if err != nil && !errors.Is(err, bus.ErrNotFound) {
		return nil, failed(ctx, err)
	}
	waits := int64(h.Waits) //nolint:gosec // a queue is shorter than that
	resp := &outboundv1.PurgeRecipientResponse{Cancelled: waits}
	if q.GetValidateOnly() {
		return resp, nil
	}
	if q.ExpectedCount != nil && waits > q.GetExpectedCount() {
		return nil, rpc.FailedPrecondition("MORE_WAIT", fmt.Sprintf("%d deliveries are pending, not %d: check again, and expect %d to cancel them", waits, q.GetExpectedCount(), waits))
	}
	if waits == 0 {
		return resp, nil
	}
	_, err = s.changeAs(ctx, q.GetId(), "", done{action: actionPurged}, func(old storedRecipient, _ time.Time) (*outboundv1.StoredRecipient, error) {
		next, _ := proto.Clone(old.StoredRecipient).(*outboundv1.StoredRecipient)
		next.PurgedThrough = max(next.GetPurgedThrough(), through)
		return next, nil
	})
	if err != nil {
		return nil, failed(ctx, err)
	}
	signal(s.reconcileSoon)
	return resp, nil
}

// How full EVENTS may be before the oldest of it is cancelled for those that hold it, and how full it is to be then.
const (
	crowded  = 0.90
	relieved = 0.80
)

// relieveEvery is how often it is looked whether EVENTS is too full, or too old.
const relieveEvery = 5 * time.Second

// leaving is how old a message may be before its delivery is cancelled, since EVENTS would drop it without a trace. A retry
// duration is a day shorter, and one that was extended ends before, so only a queue that is held or that nobody sends gets as old.
const leaving = bus.EventsKept - 45*time.Minute

// relieveLoop keeps one recipient from filling the queue for all, until ctx ends.
func (s *Service) relieveLoop(ctx context.Context) {
	for ctx.Err() == nil {
		pause(ctx, relieveEvery)
		if err := s.relieve(ctx); err != nil && ctx.Err() == nil && s.bus.Connected() {
			s.log.WarnContext(ctx, "check of the queue size failed, retrying", "error", err.Error())
		}
	}
}

// relieve marks the queues that keep the beginning of EVENTS from being purged, if EVENTS is nearly full or that is about to leave.
func (s *Service) relieve(ctx context.Context) error {
	room, err := within(ctx, s.bus.StreamUsage)
	if err != nil || room.Last < room.First {
		return err
	}
	now := time.Now()
	if room.Fill() >= crowded {
		through := room.First + uint64((1-relieved/room.Fill())*float64(room.Last-room.First))
		if err := s.freeStorage(ctx, through, false); err != nil {
			return err
		}
	}
	if now.Sub(room.Oldest) < leaving {
		return nil
	}
	first, found, err := s.bus.EventSequenceAt(ctx, now.Add(-leaving))
	if err != nil {
		return err
	}
	if !found {
		first = room.Last + 1
	}
	return s.freeStorage(ctx, first-1, true)
}

// freeStorage marks what waits up to a sequence as without room, at recipients that others have left behind. If nobody is further, EVENTS
// is short for all of them and refuses; old ones end whoever is further.
func (s *Service) freeStorage(ctx context.Context, through uint64, old bool) error {
	floors, err := within(ctx, s.bus.AckFloors)
	if err != nil {
		return err
	}
	all, err := s.allRecipients(ctx)
	if err != nil {
		return err
	}
	ahead := false
	for _, floor := range floors {
		ahead = ahead || floor >= through
	}
	var faults []error
	for _, r := range all {
		floor, ok := floors[bus.ConsumerName(channel(r), r.id())]
		pins := ok && floor < through && !r.deleting() && through > max(r.GetBacklogThrough(), r.GetPurgedThrough())
		if pins && (ahead || old || holds(r)) {
			faults = append(faults, s.mark(ctx, r, through, ahead || old))
		}
	}
	return errors.Join(faults...)
}

func holds(r storedRecipient) bool {
	return !r.GetRecipient().GetEnabled() && r.GetRecipient().GetWhileDisabled() == outboundv1.Recipient_WhileDisabled_HOLD
}

// mark sets a recipient's mark if something of its own waits up to there. One that was marked only because it holds, and by now does
// not, is left alone.
func (s *Service) mark(ctx context.Context, r storedRecipient, through uint64, anyway bool) error {
	h, err := s.bus.Head(ctx, channel(r), r.id())
	if err != nil || h.First == 0 || h.First > through {
		return err
	}
	cut := func(was storedRecipient, now time.Time) (*outboundv1.StoredRecipient, error) {
		if !anyway && !holds(was) || was.GetBacklogThrough() >= through {
			return nil, errUnchanged
		}
		next, _ := proto.Clone(was.StoredRecipient).(*outboundv1.StoredRecipient)
		next.BacklogThrough, next.BacklogTime = through, timestamppb.New(now)
		return next, nil
	}
	_, err = s.changeAs(ctx, r.id(), "", done{action: actionCut}, cut)
	if errors.Is(err, errUnchanged) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cancel the oldest deliveries of recipient %s: %w", r.id(), err)
	}
	s.log.WarnContext(ctx, "cancelling the oldest deliveries of a recipient: they prevent the queue from being purged", "recipient", r.id(), "through", through)
	signal(s.reconcileSoon)
	return nil
}
