package history

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/recipient"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// A reason of a route alone: no record ever has it.
const (
	reasonCreatedLater = "created_later"
	reasonNotStored    = "event_not_stored"
)

// routes say of each recipient why it gets an event or does not. Where the log or the queue tells of a delivery, that is the truth;
// else the table that the engine uses judges the recipient as it is now. e is nil if the event is no longer stored.
func (s *Service) routes(rec event.IntakeRecord, e *event.Event, known []*outboundv1.Delivery) []*outboundv1.Route {
	// The deliveries are newest first; a replay does not tell whether the event was the recipient's.
	first := map[string]*outboundv1.Delivery{}
	for _, d := range known {
		if d.GetReplayId() == "" && first[d.GetRecipientId()] == nil {
			first[d.GetRecipientId()] = d
		}
	}
	var out []*outboundv1.Route
	for _, r := range s.Config.Recipients() {
		route := &outboundv1.Route{RecipientId: r.ID, DisplayName: r.DisplayName, Channel: string(r.Channel())}
		switch d := first[r.ID]; {
		case d == nil:
			s.explain(route, r, rec, e)
		case d.GetState() == outboundv1.DeliveryState_WAITING:
			s.predict(route, r, rec, e)
		default:
			fillDelivery(route, d)
		}
		delete(first, r.ID)
		out = append(out, route)
	}
	for id, d := range first {
		route := &outboundv1.Route{RecipientId: id, Channel: d.GetChannel()}
		fillDelivery(route, d)
		route.Detail = "The recipient has been deleted since. " + route.GetDetail()
		out = append(out, route)
	}
	slices.SortFunc(out, func(a, b *outboundv1.Route) int { return cmp.Compare(a.GetRecipientId(), b.GetRecipientId()) })
	return out
}

// tell is a route whose delivery is known.
func fillDelivery(route *outboundv1.Route, d *outboundv1.Delivery) {
	route.State, route.Reason = d.GetState(), d.GetReason()
	route.Matched = d.GetState() != outboundv1.DeliveryState_SKIPPED
	switch {
	case route.GetMatched() && d.GetDetail() == "":
		route.Detail = spoken(delivery.State(d.GetState().String()), delivery.Reason(d.GetReason()), int(d.GetAttempts()))
	case d.GetDetail() != "":
		route.Detail = d.GetDetail()
	default:
		route.Detail = whyNot(delivery.Reason(d.GetReason()))
	}
}

// spoken says in a sentence what a delivery has come to, where its record has no words of its own.
func spoken(state delivery.State, reason delivery.Reason, attempts int) string {
	tries := "attempts"
	if attempts == 1 {
		tries = "attempt"
	}
	switch state {
	case delivery.StateDelivered:
		return fmt.Sprintf("Delivered after %d %s.", attempts, tries)
	case delivery.StateWaiting:
		return "Waiting for the first attempt."
	default:
		return fmt.Sprintf("%s after %d %s: %s.", state, attempts, tries, strings.ReplaceAll(string(reason), "_", " "))
	}
}

// predict is a route whose delivery waits: what its first attempt will come to, if the recipient stays as it is.
func (s *Service) predict(route *outboundv1.Route, r *recipient.Recipient, rec event.IntakeRecord, e *event.Event) {
	route.State, route.Matched, route.Detail = outboundv1.DeliveryState_WAITING, true, "Waiting for the first attempt."
	if e == nil {
		return
	}
	v := delivery.Unmatched(r, delivery.Message{Event: e, Sequence: rec.Sequence, Stored: rec.Time, HandedOut: 1}, s.filters.Matches)
	switch {
	case v == nil:
	case v.Kind == delivery.Postpone:
		route.Reason, route.Detail = string(v.Reason), "Held because the recipient is paused."
	default:
		route.Matched, route.Reason, route.Detail = false, string(v.Reason), cmp.Or(v.Detail, whyNot(v.Reason))
	}
}

// explain is a route without a delivery.
func (s *Service) explain(route *outboundv1.Route, r *recipient.Recipient, rec event.IntakeRecord, e *event.Event) {
	if rec.Sequence < r.StartSequence {
		route.Reason, route.Detail = reasonCreatedLater, "The recipient was created after the event was accepted. Start a backfill to send it."
		return
	}
	whole := e != nil
	if !whole {
		e = eventIn(rec)
	}
	v := delivery.Unmatched(r, delivery.Message{Event: e, Sequence: rec.Sequence, Stored: rec.Time, HandedOut: 1}, s.filters.Matches)
	switch {
	case v == nil:
		route.Reason, route.Detail = reasonNotStored, "The recipient selects this event now, but did not when the event was accepted, or the delivery record is no longer stored."
	case !whole && (v.Reason == delivery.ReasonFilterFalse || v.Reason == delivery.ReasonFilterError):
		route.Reason, route.Detail = reasonNotStored, "The event is no longer stored, so the recipient's filter can't be evaluated."
	default:
		route.Reason, route.Detail = string(v.Reason), cmp.Or(v.Detail, whyNot(v.Reason))
	}
}

// whyNot say why a recipient does not get an event.
func whyNot(r delivery.Reason) string {
	switch r {
	case delivery.ReasonTypeUnwanted:
		return "The recipient does not select this event type."
	case delivery.ReasonApplianceOut:
		return "The recipient does not select this appliance."
	case delivery.ReasonNoExternalKey:
		return "The recipient requires an external key, but the session had none."
	case delivery.ReasonFilterFalse:
		return "The recipient's filter is false for this event."
	case delivery.ReasonDisabled:
		return "The recipient was disabled when the event was accepted."
	case delivery.ReasonDeleted:
		return "The recipient is being deleted."
	case delivery.ReasonPurged:
		return "The recipient's queue was purged."
	default:
		return string(r)
	}
}

// known are all deliveries of an event.
func (s *Service) known(ctx context.Context, key string) ([]*outboundv1.Delivery, error) {
	var out []*outboundv1.Delivery
	for token := ""; ; {
		page, err := (&deliveries{s: s}).ListDeliveries(ctx, &outboundv1.ListDeliveriesRequest{EventId: key, PageSize: deliveriesShown, PageToken: token})
		if err != nil {
			return nil, err
		}
		out = append(out, page.GetDeliveries()...)
		if token = page.GetNextPageToken(); token == "" || len(out) >= deliveriesShown {
			return out, nil
		}
	}
}
