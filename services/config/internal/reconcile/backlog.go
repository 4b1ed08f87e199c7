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
	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/bus/eventlog"
	"github.com/outbound-events/outbound/pkg/bus/queue"
	"github.com/outbound-events/outbound/pkg/configclient"
	"github.com/outbound-events/outbound/pkg/logkey"
	"github.com/outbound-events/outbound/pkg/pause"
	"github.com/outbound-events/outbound/pkg/telemetry"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config/internal/recipients"
	"github.com/outbound-events/outbound/services/config/internal/store"
)

// The fill of EVENTS at which its oldest messages are cancelled for the recipients that keep them, and the fill to reach.
const (
	limitFrom = 0.90
	limitTo   = 0.80
)

// limitEvery is how often the fill and the age of EVENTS are checked.
const limitEvery = time.Second

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
	// inHand is since when a recipient's queue has been seen to be held up by messages that were handed out and have no record. Only
	// Run's loop uses it.
	inHand map[string]time.Time
}

// NewBacklogLimiter returns a limiter that changes recipients through r.
func NewBacklogLimiter(consumers *Consumers, r *recipients.Recipients) *BacklogLimiter {
	return &BacklogLimiter{bus: consumers.bus, stored: consumers.stored, consumers: consumers, recipients: r, log: consumers.log,
		inHand: map[string]time.Time{}}
}

// Run checks every few seconds whether EVENTS is too full or too old, until ctx ends.
func (s *BacklogLimiter) Run(ctx context.Context) {
	records := deliverylog.New(s.bus)
	defer records.Close()
	for ctx.Err() == nil {
		pause.For(ctx, limitEvery)
		if err := s.limit(ctx, records); err != nil && ctx.Err() == nil && s.bus.Connected() {
			s.log.WarnContext(ctx, "check of the queue size failed, retrying", telemetry.KeyError, err.Error())
		}
	}
}

// limit cancels the oldest deliveries if EVENTS is nearly full, or if it is about to drop them.
func (s *BacklogLimiter) limit(ctx context.Context, records *deliverylog.Log) error {
	usage, err := store.WithTimeout(ctx, func(ctx context.Context) (control.StreamState, error) {
		return control.New(s.bus).StreamState(ctx, bus.StreamEvents)
	})
	if err != nil || usage.LastSequence < usage.FirstSequence {
		return err
	}
	now := s.bus.Now()
	if usage.Fill() >= limitFrom {
		through := usage.FirstSequence + uint64((1-limitTo/usage.Fill())*float64(usage.LastSequence-usage.FirstSequence))
		cut, err := s.freeStorage(ctx, goal{through: through, patience: patience(usage.Fill())})
		if len(cut) > 0 {
			x := &relief{bus: s.bus, records: records, first: usage.FirstSequence, through: through, seen: time.Now(), queues: cut}
			err = errors.Join(err, x.run(ctx))
			s.consumers.ReconcileSoon()
		}
		if err != nil {
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
	if _, err = s.freeStorage(ctx, goal{through: first - 1, old: true, patience: sentWithin}); err == nil {
		s.consumers.ReconcileSoon()
	}
	return err
}

// goal is up to where EVENTS is to be freed.
type goal struct {
	through uint64
	// old says that what stands there would be dropped otherwise.
	old bool
	// patience is how long a queue that is only held up by what senders have in hand is left alone.
	patience time.Duration
}

// freeStorage has deliveries up to a sequence cancelled, for recipients that lag behind others, and returns their queues. If no recipient
// is further, EVENTS is too small for all of them and refuses events. Old messages are cancelled for every recipient.
func (s *BacklogLimiter) freeStorage(ctx context.Context, to goal) ([]*endedQueue, error) {
	floors, err := store.WithTimeout(ctx, control.New(s.bus).AckFloors)
	if err != nil {
		return nil, err
	}
	all, err := s.stored.List(ctx)
	if err != nil {
		return nil, err
	}
	ahead := false
	for _, floor := range floors {
		ahead = ahead || floor >= to.through
	}
	var queues []*endedQueue
	var faults []error
	for _, r := range all {
		floor, ok := floors[bus.ConsumerName(r.Channel(), r.ID())]
		pins := ok && floor < to.through
		if !pins || !ahead && !to.old && !r.Waits(s.bus.Now()) {
			delete(s.inHand, r.ID())
			continue
		}
		q, err := s.endQueue(ctx, r, to, ahead || to.old)
		if q != nil {
			q.floor = floor
			queues = append(queues, q)
		}
		faults = append(faults, err)
	}
	return queues, errors.Join(faults...)
}

// endQueue has a recipient's deliveries up to a sequence end, and returns its queue if there are any.
func (s *BacklogLimiter) endQueue(ctx context.Context, r store.Recipient, to goal, anyway bool) (*endedQueue, error) {
	h, err := control.New(s.bus).Backlog(ctx, r.Channel(), r.ID())
	if err != nil || h.First == 0 || h.First > to.through || s.beingSent(ctx, r, h, to) {
		return nil, err
	}
	if !r.Deleting() && to.through > max(r.GetBacklogThrough(), r.GetPurgedThrough()) {
		if err := s.cutBacklog(ctx, r, to.through, anyway); err != nil {
			return nil, err
		}
	}
	if r, err = s.stored.Get(ctx, r.ID()); err != nil {
		return nil, err
	}
	decoded, err := configclient.DecodeRecipient(r.StoredRecipient, nil)
	if err != nil {
		return nil, err
	}
	return &endedQueue{recipient: decoded, given: h.Given}, nil
}

// How long messages that were handed out may hold up a queue before they count as a backlog. A sender that was killed has them for the
// ack wait. So long is waited while there is room; from urgentFrom on only for what a sender that runs may be sending, for soon all
// appliances are refused.
const (
	sentWithin = bus.AckWait + 5*time.Second
	sentSoon   = 2 * time.Second
	urgentFrom = 0.97
)

func patience(fill float64) time.Duration {
	if fill >= urgentFrom {
		return sentSoon
	}
	return sentWithin
}

// beingSent reports whether a queue is held up only by messages that a sender has in hand, or had when it was killed: all up to a
// sequence were handed out, and the first has no record of a failure.
func (s *BacklogLimiter) beingSent(ctx context.Context, r store.Recipient, h control.Backlog, to goal) bool {
	id := r.ID()
	if h.Given < to.through || r.Waits(s.bus.Now()) || r.Deleting() {
		delete(s.inHand, id)
		return false
	}
	since, seen := s.inHand[id]
	if !seen {
		since = time.Now()
		s.inHand[id] = since
	}
	if time.Since(since) > to.patience {
		return false
	}
	ms, err := queue.New(s.bus).Peek(ctx, h.First, 1)
	if err != nil || len(ms) == 0 || ms[0].Event == nil {
		return false
	}
	_, at, err := deliverylog.NewReader(s.bus).Latest(ctx, id, ms[0].Event, ms[0].ReplayID)
	return err == nil && at == 0
}

// cutBacklog marks a recipient's deliveries up to a sequence as cancelled, for all senders. A recipient that was chosen only because it
// holds is left alone if it no longer does.
func (s *BacklogLimiter) cutBacklog(ctx context.Context, r store.Recipient, through uint64, anyway bool) error {
	cut := func(was store.Recipient, now time.Time) (*outboundv1.StoredRecipient, error) {
		if !anyway && !was.Waits(now) || was.GetBacklogThrough() >= through {
			return nil, store.ErrUnchanged
		}
		next, _ := proto.Clone(was.StoredRecipient).(*outboundv1.StoredRecipient)
		next.BacklogThrough, next.BacklogTime = through, timestamppb.New(now)
		return next, nil
	}
	_, err := s.recipients.Change(ctx, recipients.Edit{ID: r.ID(), Note: store.ChangeNote{Action: store.ActionCut}, Next: cut})
	if errors.Is(err, store.ErrUnchanged) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cancel the oldest deliveries of recipient %s: %w", r.ID(), err)
	}
	s.log.WarnContext(ctx, "cancelling the oldest deliveries of a recipient: they prevent the queue from being purged",
		telemetry.KeyRecipient, r.ID(), logkey.Through, through)
	return nil
}
