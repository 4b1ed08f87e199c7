package reconcile

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/logkey"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/telemetry"
	"github.com/outbound-events/outbound/services/config/internal/store"
)

// reconcileName makes sure that a recipient has the key of its name, and removes the key from those that may be orphans.
func (s *Reconciler) reconcileName(ctx context.Context, r store.Recipient, names map[string]bus.Entry) error {
	name := r.GetRecipient().GetDisplayName()
	held, ok := names[store.NameKey(name)]
	if ok && string(held.Value) == r.ID() {
		delete(names, store.NameKey(name))
		return nil
	}
	revision, err := s.names.Reserve(ctx, name, r.ID())
	if errors.Is(err, store.ErrNameTaken) {
		s.log.WarnContext(ctx, "two recipients have the same name: rename one of them", telemetry.KeyRecipient, r.ID(), logkey.Other,
			string(held.Value))
		return nil
	}
	if err != nil {
		return fmt.Errorf("reserve the name of recipient %s again: %w", r.ID(), err)
	}
	delete(names, store.NameKey(name))
	// The recipient may have been renamed or deleted since it was read.
	s.names.Unreserve(ctx, name, r.ID(), revision)
	return nil
}

// dropNames removes names that no recipient has.
func (s *Reconciler) dropNames(ctx context.Context, names map[string]bus.Entry) error {
	var faults []error
	for _, held := range names {
		faults = append(faults, s.names.DropOrphan(ctx, held))
	}
	return errors.Join(faults...)
}

// dropConsumers deletes consumers whose recipient does not exist, but keeps the queues of lost ones. It ignores consumers with other
// names than ours.
func (s *Reconciler) dropConsumers(ctx context.Context, strays map[string]bool) error {
	var faults []error
	lost := map[string]bool{}
	for name := range strays {
		channel, id, _ := strings.Cut(name, "-")
		d, ok := recipient.Describe(recipient.Channel(channel))
		if !ok || name == channel {
			continue
		}
		dropped, kept, err := s.consumers.Drop(ctx, d.Name, id)
		if kept.Messages > 0 {
			lost[noticeLost+id] = true
			s.notices.Set(noticeLost+id, lostRecipient(id, kept))
		}
		if dropped && err == nil {
			s.log.InfoContext(ctx, "consumer without a recipient deleted", telemetry.KeyRecipient, id)
		}
		faults = append(faults, err)
	}
	for key := range s.lost {
		if !lost[key] {
			s.notices.Clear(key)
		}
	}
	s.lost = lost
	return errors.Join(faults...)
}

// noticeLost begins the keys of notices about recipients that were lost.
const noticeLost = "store.recipient."

// lostRecipient is the notice about a queue whose recipient was lost.
func lostRecipient(id string, kept control.Queue) string {
	return fmt.Sprintf("Recipient %s is missing in the store although nobody has deleted it. Its queue of %d deliveries is kept: create the "+
		"recipient again with the id %s (e.g. outbound apply) and they are sent, or end them with outbound repair --cancel-queue %s.",
		id, kept.Messages, id, id)
}
