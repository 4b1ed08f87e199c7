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
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// drainPause is how often the queues of recipients being deleted, and those being emptied, are looked at: as a pause between two passes,
// which is drainShare times as long as the last pass took where that is more.
const (
	drainPause = time.Second
	drainShare = 4
)

// reconcileLoop runs a pass at the start, on each reconnect, when one is asked for, and at least every ReconcileEvery.
func (s *Service) reconcileLoop(ctx context.Context) {
	for ctx.Err() == nil {
		began := time.Now()
		draining, err := s.reconcile(ctx)
		next := s.o.ReconcileEvery
		if err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "reconciliation failed, retrying", "error", err.Error())
			next = min(next, drainPause)
		} else if draining {
			next = min(next, max(drainPause, drainShare*time.Since(began)))
		}
		t := time.NewTimer(next)
		select {
		case <-ctx.Done():
		case <-s.reconcileSoon:
		case <-t.C:
		}
		t.Stop()
	}
}

// listTimeout bounds the listing of all consumers: thousands of them come in pages, and in a cluster each page waits for servers that
// do not answer.
const listTimeout = 30 * time.Second

// pass is what one comparison of recipients with their consumers and names goes by. All of it may be older than what is stored by
// now: before anything is changed for it, what it says is read again.
type pass struct {
	consumers bus.Consumers
	// strays are the consumers, by name, of which no recipient has been found yet; names the keys of names likewise.
	strays map[string]bool
	names  map[string]bus.Entry
	all    []storedRecipient
	faults []error
}

// readState reads what a pass goes by.
func (s *Service) readState(ctx context.Context) (*pass, error) {
	listing, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	listed, err := s.bus.Consumers(listing)
	if err != nil {
		return nil, err
	}
	entries, err := s.recipients.all(ctx, "")
	if err != nil {
		return nil, err
	}
	p := &pass{consumers: listed, strays: map[string]bool{}, names: map[string]bus.Entry{}}
	for _, n := range listed.Names() {
		p.strays[n] = true
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Key, prefixName) {
			p.names[e.Key] = e
			continue
		}
		r, err := decodeStored(e)
		if err != nil {
			// Its consumer must not be taken for a left-over.
			id := strings.TrimPrefix(e.Key, prefixRecipient)
			delete(p.strays, bus.ConsumerName(recipient.HTTP, id))
			delete(p.strays, bus.ConsumerName(recipient.Email, id))
			p.faults = append(p.faults, err)
			continue
		}
		delete(p.strays, bus.ConsumerName(channel(r), r.id()))
		p.all = append(p.all, r)
	}
	return p, nil
}

// reconcile compares recipients with their consumers and names and repairs what differs: what a killed process left half
// done, what failed, and what somebody changed at the broker. It goes on after a fault with the next one, and reports whether a
// queue is being drained.
func (s *Service) reconcile(ctx context.Context) (draining bool, err error) {
	p, err := s.readState(ctx)
	if err != nil {
		return false, err
	}
	for _, r := range p.all {
		if r.deleting() {
			gone, err := s.finishDelete(ctx, r, p.consumers)
			draining = draining || !gone
			p.faults = append(p.faults, err)
			continue
		}
		left, err := s.keepQueue(ctx, r, p.consumers)
		draining = draining || left
		p.faults = append(p.faults, err, s.keepName(ctx, r, p.names))
	}
	return draining, errors.Join(append(p.faults, s.dropConsumers(ctx, p.strays), s.dropNames(ctx, p.names))...)
}

// keepQueue has a recipient's consumer be what the recipient says, and goes on emptying its queue; left says that this is not done.
func (s *Service) keepQueue(ctx context.Context, r storedRecipient, listed bus.Consumers) (left bool, err error) {
	left, err = s.empties(ctx, r)
	if err := errors.Join(err, s.repair(ctx, r, listed)); err != nil || !left {
		return left, err
	}
	return true, s.expediteThrough(ctx, r, max(r.GetPurgedThrough(), r.GetBacklogThrough()))
}

// expediteThrough has what waits for its next attempt handed out, up to a sequence of EVENTS, because it ends without one.
func (s *Service) expediteThrough(ctx context.Context, r storedRecipient, through uint64) error {
	d := s.delayed[r.id()]
	if d == nil {
		d = bus.NewDelayed(s.bus, channel(r), r.id())
		s.delayed[r.id()] = d
	}
	_, err := d.Expedite(ctx, through)
	return err
}

// finishDelete removes a recipient that is being deleted once its queue is drained.
func (s *Service) finishDelete(ctx context.Context, r storedRecipient, listed bus.Consumers) (gone bool, err error) {
	ch := channel(r)
	b, err := s.bus.Backlog(ctx, ch, r.id())
	if err != nil && !errors.Is(err, bus.ErrNotFound) {
		return false, err
	}
	if err == nil {
		// A held queue is let go, so that the senders can drain it.
		if err := s.repair(ctx, r, listed); err != nil {
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
func (s *Service) remove(ctx context.Context, r storedRecipient) (gone bool, err error) {
	release, err := s.locks.acquire(ctx, r.id())
	if err != nil {
		return false, err
	}
	defer release()
	switch now, err := s.recipient(ctx, r.id()); {
	case errors.Is(err, bus.ErrNotFound):
		return true, nil
	case err != nil:
		return false, fmt.Errorf("check recipient %s before removal: %w", r.id(), err)
	case now.kv != r.kv:
		return false, nil
	}
	if err := s.deleteConsumer(ctx, channel(r), r.id()); err != nil {
		return false, err
	}
	if err := s.recipients.removeAs(ctx, prefixRecipient+r.id(), r.kv, done{action: actionRemoved}); err != nil {
		return false, err
	}
	s.emptied.forget(r.id())
	delete(s.delayed, r.id())
	s.log.InfoContext(ctx, "recipient deleted after its queue drained", "recipient", r.id())
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
	revision, err := s.reserve(ctx, name, r.id())
	if errors.Is(err, errNameTaken) {
		s.log.WarnContext(ctx, "two recipients have the same name: rename one of them", "recipient", r.id(), "other", string(held.Value))
		return nil
	}
	if err != nil {
		return fmt.Errorf("reserve the name of recipient %s again: %w", r.id(), err)
	}
	delete(names, nameKey(name))
	// It may have been renamed or deleted since it was read.
	s.giveBack(ctx, name, r.id(), revision)
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
func (s *Service) dropConsumers(ctx context.Context, strays map[string]bool) error {
	var faults []error
	for name := range strays {
		ch, id, ok := strings.Cut(name, "-")
		if !ok || recipient.Channel(ch) != recipient.HTTP && recipient.Channel(ch) != recipient.Email {
			continue
		}
		dropped, err := s.dropConsumer(ctx, recipient.Channel(ch), id)
		if dropped && err == nil {
			s.log.InfoContext(ctx, "consumer without a recipient deleted", "recipient", id)
		}
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}

func channel(r storedRecipient) recipient.Channel { return channelOf(r.GetRecipient()) }

func channelOf(r *outboundv1.Recipient) recipient.Channel {
	if r.GetEmail() != nil {
		return recipient.Email
	}
	return recipient.HTTP
}
