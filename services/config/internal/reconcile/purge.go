package reconcile

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/logkey"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/telemetry"
	"github.com/outbound-events/outbound/services/config/internal/store"
)

// purge is the purge of the beginning of a queue.
type purge struct {
	through uint64
	done    bool
	// ackFloor is the consumer's, which last moved at since. Only the reconciler's loop uses them.
	ackFloor uint64
	since    time.Time
}

// purges are the purges of queues, in progress or done, by recipient.
type purges struct {
	mu   sync.Mutex
	byID map[string]*purge
}

func newPurges() *purges { return &purges{byID: map[string]*purge{}} }

// begin returns the purge of a queue up to a sequence. It starts one if there is none, and returns nil if it is done.
func (e *purges) begin(id string, through uint64) *purge {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.byID[id]
	if now == nil || now.through != through {
		now = &purge{through: through, since: time.Now()}
		e.byID[id] = now
	}
	if now.done {
		return nil
	}
	return now
}

func (e *purges) finish(of *purge) {
	e.mu.Lock()
	defer e.mu.Unlock()
	of.done = true
}

func (e *purges) forget(id string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.byID, id)
}

// running reports whether a recipient's queue is being purged, so that its consumer must not be paused.
func (e *purges) running(r *recipient.Recipient) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.byID[r.ID]
	return now != nil && !now.done && now.through == max(r.PurgedThrough, r.BacklogThrough)
}

// stuckAfter is how long a purge may make no progress before it is given up, perhaps because no sender runs. Deliveries that reach a
// sender later are cancelled all the same.
const stuckAfter = 2 * time.Minute

// purgeUnfinished reports whether deliveries up to a recipient's purge sequence must still be handed out, to be cancelled. A paused
// consumer is resumed meanwhile; the senders put back what follows. Only the reconciler's loop calls it.
func (s *Reconciler) purgeUnfinished(ctx context.Context, r store.Recipient) (bool, error) {
	through := max(r.GetPurgedThrough(), r.GetBacklogThrough())
	if through == 0 {
		return false, nil
	}
	e := s.consumers.purges.begin(r.ID(), through)
	if e == nil {
		return false, nil
	}
	h, err := control.New(s.bus).Backlog(ctx, r.Channel(), r.ID())
	if errors.Is(err, bus.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if h.AckFloor > e.ackFloor {
		e.ackFloor, e.since = h.AckFloor, time.Now()
	}
	if h.Total() > 0 && h.First <= through && time.Since(e.since) <= stuckAfter {
		return true, nil
	}
	s.consumers.purges.finish(e)
	delete(s.delayed, r.ID())
	s.log.InfoContext(ctx, "queue purged", telemetry.KeyRecipient, r.ID(), logkey.Through, through,
		logkey.Left, h.First > 0 && h.First <= through)
	return false, nil
}
