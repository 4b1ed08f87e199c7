package reconcile

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/services/config/internal/store"
)

// finishDelete removes a recipient that is being deleted once its queue is drained.
func (s *Reconciler) finishDelete(ctx context.Context, r store.Recipient, listed bus.Consumers) (gone bool, err error) {
	ch := r.Channel()
	b, err := s.bus.Backlog(ctx, ch, r.ID())
	if err != nil && !errors.Is(err, bus.ErrNotFound) {
		return false, err
	}
	if err == nil {
		// A held queue is let go, so that the senders can drain it.
		if err := s.consumers.repair(ctx, r, listed); err != nil {
			return false, err
		}
	}
	if err == nil && b.Unsettled > 0 {
		// What waits for its next attempt is cancelled now.
		if err := s.expediteThrough(ctx, r, math.MaxUint64); err != nil {
			return false, err
		}
	}
	if err == nil && !s.quietEnough(r, b.Waiting+b.Unsettled, time.Now()) {
		return false, nil
	}
	return s.remove(ctx, r)
}

// remove removes a recipient whose queue is drained, and its consumer, unless it is another one by now.
func (s *Reconciler) remove(ctx context.Context, r store.Recipient) (gone bool, err error) {
	release, err := s.consumers.locks.acquire(ctx, r.ID())
	if err != nil {
		return false, err
	}
	defer release()
	switch now, err := s.stored.Get(ctx, r.ID()); {
	case errors.Is(err, bus.ErrNotFound):
		return true, nil
	case err != nil:
		return false, fmt.Errorf("check recipient %s before it is removed: %w", r.ID(), err)
	case now.KVRevision != r.KVRevision:
		return false, nil
	}
	if err := s.consumers.deleteConsumer(ctx, r.Channel(), r.ID()); err != nil {
		return false, err
	}
	if err := s.stored.Remove(ctx, r, store.ChangeNote{Action: store.ActionRemoved}); err != nil {
		return false, err
	}
	s.consumers.emptied.forget(r.ID())
	delete(s.delayed, r.ID())
	s.log.InfoContext(ctx, "recipient deleted, its queue was drained", "recipient", r.ID())
	return true, nil
}

// quietFor is how long a queue must have been empty before it counts as drained: the broker counts a stored event a moment
// after it has confirmed it, and such an event is to be recorded CANCELLED, not forgotten.
const quietFor = 500 * time.Millisecond

// quietEnough notes since when the queue of a recipient has been empty. The reconcile loop alone calls it.
func (s *Reconciler) quietEnough(r store.Recipient, backlog uint64, now time.Time) bool {
	since, noted := s.quiet[r.ID()]
	switch {
	case backlog > 0:
		delete(s.quiet, r.ID())
		return false
	case !noted:
		s.quiet[r.ID()] = now
		return false
	case now.Sub(since) < quietFor:
		return false
	default:
		delete(s.quiet, r.ID())
		return true
	}
}
