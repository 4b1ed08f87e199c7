package reconcile

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/telemetry"
	"github.com/outbound-events/outbound/services/config/internal/store"
)

// finishDelete removes a recipient that is being deleted once its queue is drained.
func (s *Reconciler) finishDelete(ctx context.Context, r store.Recipient, listed control.Consumers) (gone bool, err error) {
	ch := r.Channel()
	b, err := control.New(s.bus).Backlog(ctx, ch, r.ID())
	if err != nil && !errors.Is(err, bus.ErrNotFound) {
		return false, err
	}
	if err == nil {
		// A paused consumer is resumed, so that the senders can drain it.
		if err := s.consumers.repair(ctx, r, listed); err != nil {
			return false, err
		}
	}
	if err == nil && b.Unsettled > 0 {
		// Deliveries that wait for their next attempt are cancelled now.
		if err := s.expediteThrough(ctx, r, math.MaxUint64); err != nil {
			return false, err
		}
	}
	if err == nil && !s.drained(r, b.Waiting+b.Unsettled, time.Now()) {
		return false, nil
	}
	return s.remove(ctx, r)
}

// remove removes a recipient whose queue is drained, and its consumer, unless the recipient has changed.
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
		return false, fmt.Errorf("check recipient %s before removal: %w", r.ID(), err)
	case now.KVRevision != r.KVRevision:
		return false, nil
	}
	if err := s.consumers.deleteConsumer(ctx, r.Channel(), r.ID()); err != nil {
		return false, err
	}
	s.consumers.ended(ctx, r)
	if err := s.stored.Remove(ctx, r, store.ChangeNote{Action: store.ActionRemoved}); err != nil {
		return false, err
	}
	s.consumers.purges.forget(r.ID())
	delete(s.delayed, r.ID())
	s.log.InfoContext(ctx, "recipient deleted after its queue drained", telemetry.KeyRecipient, r.ID())
	return true, nil
}

// drainedAfter is how long a queue must be empty before it counts as drained. The broker counts a stored event a moment after it has
// confirmed it, and such an event must be recorded as CANCELLED.
const drainedAfter = 500 * time.Millisecond

// drained reports whether the queue of a recipient has been empty for long enough. Only the reconciler's loop calls it.
func (s *Reconciler) drained(r store.Recipient, backlog uint64, now time.Time) bool {
	since, noted := s.emptySince[r.ID()]
	switch {
	case backlog > 0:
		delete(s.emptySince, r.ID())
		return false
	case !noted:
		s.emptySince[r.ID()] = now
		return false
	case now.Sub(since) < drainedAfter:
		return false
	default:
		delete(s.emptySince, r.ID())
		return true
	}
}
