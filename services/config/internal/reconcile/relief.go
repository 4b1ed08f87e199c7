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
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config/internal/loop"
	"github.com/outbound-events/outbound/services/config/internal/recipients"
	"github.com/outbound-events/outbound/services/config/internal/store"
)

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

// Changer changes recipients.
type Changer interface {
	Change(ctx context.Context, e recipients.Edit) (store.Recipient, error)
}

// Relief keeps one recipient from filling EVENTS for all.
type Relief struct {
	bus        *bus.Conn
	stored     *store.Recipients
	consumers  *Consumers
	recipients Changer
	log        *slog.Logger
}

// NewRelief returns a relief that changes recipients through c.
func NewRelief(consumers *Consumers, c Changer) *Relief {
	return &Relief{bus: consumers.bus, stored: consumers.stored, consumers: consumers, recipients: c, log: consumers.log}
}

// Run checks every few seconds whether EVENTS is too full or too old, until ctx ends.
func (s *Relief) Run(ctx context.Context) {
	for ctx.Err() == nil {
		loop.Sleep(ctx, relieveEvery)
		if err := s.relieve(ctx); err != nil && ctx.Err() == nil && s.bus.Connected() {
			s.log.WarnContext(ctx, "whether the queue is too full can't be seen, trying again", "error", err.Error())
		}
	}
}

// relieve marks the queues that keep the beginning of EVENTS from being purged, if EVENTS is nearly full or that is about to leave.
func (s *Relief) relieve(ctx context.Context) error {
	room, err := store.WithTimeout(ctx, s.bus.StreamUsage)
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
func (s *Relief) freeStorage(ctx context.Context, through uint64, old bool) error {
	floors, err := store.WithTimeout(ctx, s.bus.AckFloors)
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
			faults = append(faults, s.mark(ctx, r, through, ahead || old))
		}
	}
	return errors.Join(faults...)
}

// mark sets a recipient's mark if something of its own waits up to there. One that was marked only because it holds, and by now does
// not, is left alone.
func (s *Relief) mark(ctx context.Context, r store.Recipient, through uint64, anyway bool) error {
	h, err := s.bus.Head(ctx, r.Channel(), r.ID())
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
		return fmt.Errorf("make room before recipient %s: %w", r.ID(), err)
	}
	s.log.WarnContext(ctx, "the oldest deliveries of a recipient are cancelled: they keep the queue from being purged",
		"recipient", r.ID(), "through", through)
	s.consumers.ReconcileSoon()
	return nil
}
