package config

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/recipient"
)

// drainPause is how often the queues of recipients being deleted are looked at.
const drainPause = time.Second

// reconcileLoop runs a pass at the start, on each reconnect, when one is asked for, and at least every ReconcileEvery.
func (s *Service) reconcileLoop(ctx context.Context) {
	for ctx.Err() == nil {
		draining, err := s.reconcile(ctx)
		next := s.o.ReconcileEvery
		if err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "reconciling broke off, trying again", "error", err.Error())
			next = min(next, drainPause)
		} else if draining {
			next = min(next, drainPause)
		}
		t := time.NewTimer(next)
		select {
		case <-ctx.Done():
		case <-s.hurry:
		case <-t.C:
		}
		t.Stop()
	}
}

// reconcile compares recipients with their consumers and names and repairs what differs: what a killed process left half
// done, and what failed. It goes on after a fault with the next one, and reports whether a queue is being drained.
func (s *Service) reconcile(ctx context.Context) (draining bool, err error) {
	// The consumers are listed first: whoever made one of them had stored its recipient before, so a consumer without a
	// recipient is a left-over for certain.
	listed, err := within(ctx, s.bus.ConsumerNames)
	if err != nil {
		return false, err
	}
	entries, err := s.recipients.all(ctx, "")
	if err != nil {
		return false, err
	}
	left := make(map[string]bool, len(listed))
	for _, n := range listed {
		left[n] = true
	}
	names := map[string]bus.Entry{}
	var all []storedRecipient
	var faults []error
	for _, e := range entries {
		if strings.HasPrefix(e.Key, prefixName) {
			names[e.Key] = e
			continue
		}
		r, err := decodeStored(e)
		if err != nil {
			// Its consumer must not be taken for a left-over.
			id := strings.TrimPrefix(e.Key, prefixRecipient)
			delete(left, bus.ConsumerName(recipient.HTTP, id))
			delete(left, bus.ConsumerName(recipient.Email, id))
			faults = append(faults, err)
			continue
		}
		all = append(all, r)
	}
	for _, r := range all {
		name := bus.ConsumerName(channel(r), r.id())
		exists := left[name]
		delete(left, name)
		if r.deleting() {
			gone, err := s.finishDelete(ctx, r, exists)
			draining = draining || !gone
			faults = append(faults, err)
			continue
		}
		if !exists || !s.consumers.has(r.id(), r.kv) {
			faults = append(faults, s.ensure(ctx, r.id()))
		}
		left, err := s.empty(ctx, r)
		draining = draining || left
		faults = append(faults, err, s.keepName(ctx, r, names))
	}
	faults = append(faults, s.dropConsumers(ctx, left), s.dropNames(ctx, names))
	return draining, errors.Join(faults...)
}

// finishDelete removes a recipient that is being deleted once its queue is drained.
func (s *Service) finishDelete(ctx context.Context, r storedRecipient, exists bool) (gone bool, err error) {
	ch := channel(r)
	if exists && !s.consumers.has(r.id(), r.kv) {
		// A held queue is let go, so that the senders can drain it.
		if err := s.ensure(ctx, r.id()); err != nil {
			return false, err
		}
	}
	b, err := s.bus.Backlog(ctx, ch, r.id())
	if err != nil && !errors.Is(err, bus.ErrNotFound) {
		return false, err
	}
	if err == nil && b.Unsettled > 0 {
		// What waits for its next attempt is cancelled now.
		if _, err := s.bus.Hurry(ctx, ch, r.id(), math.MaxUint64); err != nil {
			return false, err
		}
	}
	if err == nil && !s.quietEnough(r, b.Waiting+b.Unsettled, time.Now()) {
		return false, nil
	}
	if err := s.bus.DeleteConsumer(ctx, ch, r.id()); err != nil {
		return false, err
	}
	if err := s.recipients.removeAs(ctx, prefixRecipient+r.id(), r.kv, done{action: actionRemoved}); err != nil {
		return false, err
	}
	delete(s.emptied, r.id())
	s.log.InfoContext(ctx, "recipient deleted, its queue was drained", "recipient", r.id())
	return true, nil
}

// quietFor is how long a queue must have been empty before it counts as drained: the broker counts a stored event a moment
// after it has confirmed it, and such an event is to be recorded CANCELLED, not forgotten.
const quietFor = 500 * time.Millisecond

// quietEnough notes since when the queue of a recipient has been empty. The reconcile loop alone calls it.
func (s *Service) quietEnough(r storedRecipient, backlog uint64, now time.Time) bool {
	since, noted := s.quiet[r.id()]
	switch {
	case backlog > 0:
		delete(s.quiet, r.id())
		return false
	case !noted:
		s.quiet[r.id()] = now
		return false
	case now.Sub(since) < quietFor:
		return false
	default:
		delete(s.quiet, r.id())
		return true
	}
}

// keepName sees to it that a recipient has the key of its name, and takes the key off the list of those that may be orphans.
func (s *Service) keepName(ctx context.Context, r storedRecipient, names map[string]bus.Entry) error {
	name := r.GetRecipient().GetDisplayName()
	held, ok := names[nameKey(name)]
	if ok && string(held.Value) == r.id() {
		delete(names, nameKey(name))
		return nil
	}
	_, err := s.reserve(ctx, name, r.id())
	if errors.Is(err, errNameTaken) {
		s.log.WarnContext(ctx, "two recipients have one name, rename one of them", "recipient", r.id(), "other", string(held.Value))
		return nil
	}
	if err != nil {
		return fmt.Errorf("take the name of recipient %s again: %w", r.id(), err)
	}
	delete(names, nameKey(name))
	return nil
}

// dropNames frees names that nobody has.
func (s *Service) dropNames(ctx context.Context, names map[string]bus.Entry) error {
	var faults []error
	for _, held := range names {
		orphan, err := s.orphaned(ctx, held)
		if err == nil && orphan {
			err = s.recipients.remove(ctx, held.Key, held.Revision)
		}
		if !errors.Is(err, bus.ErrConflict) {
			faults = append(faults, err)
		}
	}
	return errors.Join(faults...)
}

// dropConsumers deletes consumers whose recipient is gone. Consumers that are not of our naming are left alone.
func (s *Service) dropConsumers(ctx context.Context, left map[string]bool) error {
	var faults []error
	for name := range left {
		ch, id, ok := strings.Cut(name, "-")
		if !ok || recipient.Channel(ch) != recipient.HTTP && recipient.Channel(ch) != recipient.Email {
			continue
		}
		faults = append(faults, s.bus.DeleteConsumer(ctx, recipient.Channel(ch), id))
		s.log.InfoContext(ctx, "consumer deleted, it had no recipient", "recipient", id)
	}
	return errors.Join(faults...)
}

func channel(r storedRecipient) recipient.Channel {
	if r.GetRecipient().GetEmail() != nil {
		return recipient.Email
	}
	return recipient.HTTP
}
