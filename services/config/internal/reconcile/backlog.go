package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bus/eventlog"
	"github.com/outbound-events/outbound/pkg/logkey"
	"github.com/outbound-events/outbound/pkg/telemetry"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config/internal/loop"
	"github.com/outbound-events/outbound/services/config/internal/recipients"
	"github.com/outbound-events/outbound/services/config/internal/store"
)

// The fill of EVENTS at which its oldest messages are cancelled for the recipients that keep them, and the fill to reach.
const (
	limitFrom = 0.90
	limitTo   = 0.80
)

// limitEvery is how often the fill and the age of EVENTS are checked.
const limitEvery = 5 * time.Second

// maxAge is how old a message may get before its delivery is cancelled, because EVENTS would drop it without a record. Retry durations
// are a day shorter, so only a queue that is paused or that no sender serves gets this old.
const maxAge = bus.EventsKept - 45*time.Minute

// BacklogLimiter keeps one recipient from filling EVENTS for all. It cancels the oldest deliveries of recipients that keep EVENTS from
// being purged.
type BacklogLimiter struct {
	bus        *bus.Conn
	stored     *store.Recipients
	consumers  *Consumers
	recipients *recipients.Recipients
	log        *slog.Logger
}

// NewBacklogLimiter returns a limiter that changes recipients through r.
func NewBacklogLimiter(consumers *Consumers, r *recipients.Recipients) *BacklogLimiter {
	return &BacklogLimiter{bus: consumers.bus, stored: consumers.stored, consumers: consumers, recipients: r, log: consumers.log}
}

// Run checks every few seconds whether EVENTS is too full or too old, until ctx ends.
func (s *BacklogLimiter) Run(ctx context.Context) {
	for ctx.Err() == nil {
		loop.Sleep(ctx, limitEvery)
		if err := s.limit(ctx); err != nil && ctx.Err() == nil && s.bus.Connected() {
			s.log.WarnContext(ctx, "check of the queue size failed, retrying", telemetry.KeyError, err.Error())
		}
	}
}

// limit cancels the oldest deliveries if EVENTS is nearly full, or if it is about to drop them.
func (s *BacklogLimiter) limit(ctx context.Context) error {
	usage, err := store.WithTimeout(ctx, func(ctx context.Context) (control.StreamState, error) {
		return control.New(s.bus).StreamState(ctx, bus.StreamEvents)
	})
	if err != nil || usage.LastSequence < usage.FirstSequence {
		return err
	}
	now := s.bus.Now()
	if usage.Fill() >= limitFrom {
		through := usage.FirstSequence + uint64((1-limitTo/usage.Fill())*float64(usage.LastSequence-usage.FirstSequence))
		if err := s.freeStorage(ctx, through, false); err != nil {
			return err
		}
	}
	if now.Sub(usage.FirstTime) < maxAge {
		return nil
	}
	first, found, err := eventlog.New(s.bus).EventSequenceAt(ctx, now.Add(-maxAge))
	if err != nil {
		return err
	}
	if !found {
		first = usage.LastSequence + 1
	}
	return s.freeStorage(ctx, first-1, true)
}

// freeStorage cancels deliveries up to a sequence, for recipients that lag behind others. If no recipient is further, EVENTS is too small
// for all of them and refuses events. Old messages are cancelled for every recipient.
func (s *BacklogLimiter) freeStorage(ctx context.Context, through uint64, old bool) error {
	floors, err := store.WithTimeout(ctx, control.New(s.bus).AckFloors)
	if err != nil {
		return err
	}
	all, err := s.stored.List(ctx)
	if err != nil {
		return err
	}
	ahead := false
	for _, floor := range floors {
		ahead = ahead || floor >= through
	}
	var faults []error
	for _, r := range all {
		floor, ok := floors[bus.ConsumerName(r.Channel(), r.ID())]
		pins := ok && floor < through && !r.Deleting() && through > max(r.GetBacklogThrough(), r.GetPurgedThrough())
		if pins && (ahead || old || r.Holds()) {
			faults = append(faults, s.cutBacklog(ctx, r, through, ahead || old))
		}
	}
	return errors.Join(faults...)
}

// cutBacklog cancels a recipient's deliveries up to a sequence, if there are any. A recipient that was chosen only because it holds is
// left alone if it no longer does.
func (s *BacklogLimiter) cutBacklog(ctx context.Context, r store.Recipient, through uint64, anyway bool) error {
	h, err := control.New(s.bus).Backlog(ctx, r.Channel(), r.ID())
	if err != nil || h.First == 0 || h.First > through {
		return err
	}
	cut := func(was store.Recipient, now time.Time) (*outboundv1.StoredRecipient, error) {
		if !anyway && !was.Holds() || was.GetBacklogThrough() >= through {
			return nil, store.ErrUnchanged
		}
		next, _ := proto.Clone(was.StoredRecipient).(*outboundv1.StoredRecipient)
		next.BacklogThrough, next.BacklogTime = through, timestamppb.New(now)
		return next, nil
	}
	_, err = s.recipients.Change(ctx, recipients.Edit{ID: r.ID(), Note: store.ChangeNote{Action: store.ActionCut}, Next: cut})
	if errors.Is(err, store.ErrUnchanged) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cancel the oldest deliveries of recipient %s: %w", r.ID(), err)
	}
	s.log.WarnContext(ctx, "cancelling the oldest deliveries of a recipient: they prevent the queue from being purged",
		telemetry.KeyRecipient, r.ID(), logkey.Through, through)
	s.consumers.ReconcileSoon()
	return nil
}
