package reconcile

import (
	"context"

	"github.com/outbound-events/outbound/pkg/bus/eventnumbers"
	"github.com/outbound-events/outbound/pkg/configclient"
	"github.com/outbound-events/outbound/pkg/delivery/numbering"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/telemetry"
	"github.com/outbound-events/outbound/services/config/internal/store"
)

// What is counted for a recipient is a part of what its queue is given: a number that is counted without being given would look like a
// delivery that is missing. So narrow comes before the change of a queue, and selects after it. If one fails, deliveries go on as they are,
// some without a number, and the next pass tries again.

// narrow has the events no longer counted that a recipient does not select any more.
func (s *Consumers) narrow(ctx context.Context, r *recipient.Recipient) {
	was, ok, err := s.changes.Selected(ctx, r)
	if err != nil {
		s.notNumbered(ctx, r, err)
		return
	}
	if ok {
		s.selects(ctx, r, was.Both(eventnumbers.Selection(r)))
	}
}

// selects has events counted that a recipient selects.
func (s *Consumers) selects(ctx context.Context, r *recipient.Recipient, x numbering.Selection) {
	if err := s.changes.Select(ctx, r, x); err != nil {
		s.notNumbered(ctx, r, err)
	}
}

func (s *Consumers) notNumbered(ctx context.Context, r *recipient.Recipient, err error) {
	s.log.WarnContext(ctx, "the event types of a recipient can't be stored with the events: some of its deliveries have no number, retrying",
		telemetry.KeyRecipient, r.ID, telemetry.KeyError, err.Error())
}

// numbered reports whether EVENTS says what a recipient selects, as far as was read.
func (s *Consumers) numbered(r *recipient.Recipient) bool {
	was, ok := s.changes.Known(r)
	return ok && was.Equal(eventnumbers.Selection(r))
}

// ended has nothing more counted for a recipient that is removed.
func (s *Consumers) ended(ctx context.Context, r store.Recipient) {
	decoded, err := configclient.DecodeRecipient(r.StoredRecipient, nil)
	if err == nil {
		err = s.changes.End(ctx, decoded)
	}
	if err != nil {
		s.log.WarnContext(ctx, "the end of a recipient can't be stored with the events", telemetry.KeyRecipient, r.ID(), telemetry.KeyError,
			err.Error())
	}
}
