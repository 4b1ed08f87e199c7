package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bus/eventnumbers"
	"github.com/outbound-events/outbound/pkg/configclient"
	"github.com/outbound-events/outbound/pkg/logkey"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/telemetry"
	"github.com/outbound-events/outbound/services/config/internal/loop"
	"github.com/outbound-events/outbound/services/config/internal/store"
)

// Consumers makes, changes and deletes the consumers of recipients.
type Consumers struct {
	bus    *bus.Conn
	stored *store.Recipients
	log    *slog.Logger
	hold   store.Hold
	locks  *locks
	// purges are the purges of queues, in progress or done.
	purges *purges
	// changes are what EVENTS says of what recipients select, by which deliveries are numbered.
	changes *eventnumbers.Changes
	// soon is set when a reconcile pass is wanted now.
	soon loop.Signal
}

// NewConsumers returns the consumers of recipients, which are only changed while hold allows it.
func NewConsumers(conn *bus.Conn, stored *store.Recipients, log *slog.Logger, hold store.Hold) *Consumers {
	return &Consumers{bus: conn, stored: stored, log: log, hold: hold, locks: newLocks(), purges: newPurges(),
		changes: eventnumbers.NewChanges(conn), soon: loop.NewSignal()}
}

// ReconcileSoon asks for a reconcile pass now.
func (s *Consumers) ReconcileSoon() { s.soon.Set() }

// Ensure makes a recipient's consumer what the recipient says. When it has returned, the consumer is at least as new as the recipient
// was when it was called.
func (s *Consumers) Ensure(ctx context.Context, id string) error {
	_, err := s.apply(ctx, id)
	return err
}

// apply is Ensure and returns what it changed. It reads the recipient again afterwards and starts over if that has changed, so that of
// two processes which do this at once the last one leaves the newest state.
func (s *Consumers) apply(ctx context.Context, id string) (changed []string, err error) {
	release, err := s.locks.acquire(ctx, id)
	if err != nil {
		return nil, err
	}
	defer release()
	for {
		r, err := s.stored.Get(ctx, id)
		if errors.Is(err, bus.ErrNotFound) {
			return changed, nil
		}
		if err != nil {
			return changed, err
		}
		decoded, err := configclient.DecodeRecipient(r.StoredRecipient, nil)
		if err != nil {
			return changed, err
		}
		more, err := store.WithTimeout(ctx, func(ctx context.Context) ([]string, error) {
			if err := s.hold.Check(ctx); err != nil {
				return nil, err
			}
			s.narrow(ctx, decoded)
			changed, err := control.New(s.bus).ApplyConsumer(ctx, decoded, s.pauses(decoded))
			if err == nil {
				s.selects(ctx, decoded, eventnumbers.Selection(decoded))
			}
			return changed, err
		})
		changed = append(changed, more...)
		if err != nil {
			return changed, err
		}
		again, err := s.stored.Get(ctx, id)
		var removed *bus.RemovedError
		switch {
		case errors.As(err, &removed):
			// Another process has removed the recipient meanwhile.
			return changed, s.deleteConsumer(ctx, r.Channel(), id)
		case err != nil:
			return changed, fmt.Errorf("check recipient %s again: %w", id, err)
		case again.KVRevision == r.KVRevision:
			return changed, nil
		}
	}
}

// pauses reports whether a recipient's consumer must be paused: the recipient holds, and its queue is not being purged.
func (s *Consumers) pauses(r *recipient.Recipient) bool { return r.Holds() && !s.purges.running(r) }

// repair makes a recipient's consumer what the recipient says, if the listing shows that it is not.
func (s *Consumers) repair(ctx context.Context, r store.Recipient, listed control.Consumers) error {
	decoded, err := configclient.DecodeRecipient(r.StoredRecipient, nil)
	if err != nil || listed.Fits(decoded, s.pauses(decoded)) && s.numbered(decoded) {
		return err
	}
	changed, err := s.apply(ctx, r.ID())
	if len(changed) > 0 {
		s.log.InfoContext(ctx, "consumer did not match its recipient and was updated", telemetry.KeyRecipient, r.ID(), logkey.Changed, changed)
	}
	return err
}

func (s *Consumers) deleteConsumer(ctx context.Context, ch recipient.Channel, id string) error {
	_, err := store.WithTimeout(ctx, func(ctx context.Context) (struct{}, error) {
		if err := s.hold.Check(ctx); err != nil {
			return struct{}{}, err
		}
		return struct{}{}, control.New(s.bus).DeleteConsumer(ctx, ch, id)
	})
	return err
}

// Drop deletes a consumer whose recipient does not exist, and reports whether it did. A queue that is not empty is deleted only if the
// removal of its recipient is recorded and later than the queue: else the recipient has been lost, not removed, and kept is its queue.
func (s *Consumers) Drop(ctx context.Context, ch recipient.Channel, id string) (dropped bool, kept control.Queue, err error) {
	release, err := s.locks.acquire(ctx, id)
	if err != nil {
		return false, kept, err
	}
	defer release()
	_, err = s.stored.Get(ctx, id)
	if err == nil {
		return false, kept, nil
	}
	if !errors.Is(err, bus.ErrNotFound) {
		return false, kept, fmt.Errorf("look up the recipient %s of a consumer: %w", id, err)
	}
	var removed *bus.RemovedError
	recorded := errors.As(err, &removed)
	kept, err = store.WithTimeout(ctx, func(ctx context.Context) (control.Queue, error) { return control.New(s.bus).Queue(ctx, ch, id) })
	switch {
	case errors.Is(err, bus.ErrNotFound):
		return false, control.Queue{}, nil
	case err != nil:
		return false, control.Queue{}, err
	case kept.Messages > 0 && (!recorded || !removed.At.After(kept.Created)):
		return false, kept, nil
	}
	return true, control.Queue{}, s.deleteConsumer(ctx, ch, id)
}
