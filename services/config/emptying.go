package config

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/recipient"
)

// emptying is a queue whose beginning is being cancelled.
type emptying struct {
	through uint64
	done    bool
	// ackFloor is how far it was when it last moved, at since. They are the reconcile loop's own.
	ackFloor uint64
	since    time.Time
}

// emptyings are the queues whose beginning is being cancelled, or was, by recipient.
type emptyings struct {
	mu   sync.Mutex
	byID map[string]*emptying
}

func newEmptyings() *emptyings { return &emptyings{byID: map[string]*emptying{}} }

// begin is the emptying of a queue up to a mark, new if it has not begun yet; nil if it is done.
func (e *emptyings) begin(id string, through uint64) *emptying {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.byID[id]
	if now == nil || now.through != through {
		now = &emptying{through: through, since: time.Now()}
		e.byID[id] = now
	}
	if now.done {
		return nil
	}
	return now
}

func (e *emptyings) finish(of *emptying) {
	e.mu.Lock()
	defer e.mu.Unlock()
	of.done = true
}

func (e *emptyings) forget(id string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.byID, id)
}

// running reports whether a recipient's queue is being emptied, so that it is to be let go though the recipient holds.
func (e *emptyings) running(r *recipient.Recipient) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.byID[r.ID]
	return now != nil && !now.done && now.through == max(r.PurgedThrough, r.BacklogThrough)
}

// stuckAfter is how long a queue that is emptied may stand still before it is left alone: no sender runs, perhaps. What comes to a
// sender later ends all the same.
const stuckAfter = 2 * time.Minute

// empties reports whether something waits up to a recipient's mark that is to be handed out, to be cancelled. A queue that holds is let
// go meanwhile: the senders put back what lies behind the mark. The reconcile loop alone calls it.
func (s *Service) empties(ctx context.Context, r storedRecipient) (bool, error) {
	through := max(r.GetPurgedThrough(), r.GetBacklogThrough())
	if through == 0 {
		return false, nil
	}
	e := s.emptied.begin(r.id(), through)
	if e == nil {
		return false, nil
	}
	h, err := s.bus.Head(ctx, channel(r), r.id())
	if errors.Is(err, bus.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if h.AckFloor > e.ackFloor {
		e.ackFloor, e.since = h.AckFloor, time.Now()
	}
	if h.Waits > 0 && h.First <= through && time.Since(e.since) <= stuckAfter {
		return true, nil
	}
	s.emptied.finish(e)
	delete(s.delayed, r.id())
	s.log.InfoContext(ctx, "queue purged", "recipient", r.id(), "through", through, "left", h.First > 0 && h.First <= through)
	return false, nil
}
