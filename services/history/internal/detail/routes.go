package detail

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/recipient"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/history/internal/lookup"
)

// Reasons that only routes have: no record has them.
const (
	reasonCreatedLater = "created_later"
	reasonNotStored    = "event_not_stored"
)

// routes says for each recipient why it gets an event or does not. If the log or the queue has a delivery, that decides; else the rules
// of the engine are applied to the recipient as it is now. e is nil if the event is no longer stored.
func (s *Reader) routes(rec event.IntakeRecord, e *event.Event, known []*outboundv1.Delivery) []*outboundv1.Route {
	// The deliveries are newest first. A replay does not show whether the recipient selected the event.
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

// fillDelivery fills a route whose delivery is known.
func fillDelivery(route *outboundv1.Route, d *outboundv1.Delivery) {
	route.State, route.Reason = d.GetState(), d.GetReason()
	route.Matched = d.GetState() != outboundv1.DeliveryState_SKIPPED
	switch {
	case route.GetMatched() && d.GetDetail() == "":
		route.Detail = summaryOf(delivery.State(d.GetState().String()), reasons.Reason(d.GetReason()), int(d.GetAttempts()))
	case d.GetDetail() != "":
		route.Detail = d.GetDetail()
	default:
		route.Detail = skipReason(reasons.Reason(d.GetReason()))
	}
}

// summaryOf describes the state of a delivery in a sentence, for a record without a detail.
func summaryOf(state delivery.State, reason reasons.Reason, attempts int) string {
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

// predict fills a route whose delivery waits: what its first attempt will come to if the recipient stays as it is.
func (s *Reader) predict(route *outboundv1.Route, r *recipient.Recipient, rec event.IntakeRecord, e *event.Event) {
	route.State, route.Matched, route.Detail = outboundv1.DeliveryState_WAITING, true, "Waiting for the first attempt."
	if e == nil {
		return
	}
	v := delivery.Unmatched(r, delivery.Message{Event: e, Sequence: rec.Sequence, Stored: rec.Time, HandedOut: 1}, s.Filters.Matches)
	switch {
	case v == nil:
	case v.Kind == delivery.Postpone:
		route.Reason, route.Detail = string(v.Reason), "Held because the recipient is paused."
	default:
		route.Matched, route.Reason, route.Detail = false, string(v.Reason), cmp.Or(v.Detail, skipReason(v.Reason))
	}
}

// explain fills a route without a delivery.
func (s *Reader) explain(route *outboundv1.Route, r *recipient.Recipient, rec event.IntakeRecord, e *event.Event) {
	if rec.Sequence < r.StartSequence {
		route.Reason, route.Detail = reasonCreatedLater,
			"The recipient was created after the event was accepted. Start a backfill to send it."
		return
	}
	whole := e != nil
	if !whole {
		e = lookup.Event(rec)
	}
	v := delivery.Unmatched(r, delivery.Message{Event: e, Sequence: rec.Sequence, Stored: rec.Time, HandedOut: 1}, s.Filters.Matches)
	switch {
	case v == nil:
		route.Reason, route.Detail = reasonNotStored,
			"The recipient selects this event now, but did not when the event was accepted, or the delivery record is no longer stored."
	case !whole && (v.Reason == reasons.FilterFalse || v.Reason == reasons.FilterError):
		route.Reason, route.Detail = reasonNotStored, "The event is no longer stored, so the recipient's filter can't be evaluated."
	default:
		route.Reason, route.Detail = string(v.Reason), cmp.Or(v.Detail, skipReason(v.Reason))
	}
}

// skipReason says why a recipient does not get an event.
func skipReason(r reasons.Reason) string {
	switch r {
	case reasons.TypeUnwanted:
		return "The recipient does not select this event type."
	case reasons.ApplianceOut:
		return "The recipient does not select this appliance."
	case reasons.NoExternalKey:
		return "The recipient requires an external key, but the session had none."
	case reasons.FilterFalse:
		return "The recipient's filter is false for this event."
	case reasons.Disabled:
		return "The recipient was disabled when the event was accepted."
	case reasons.Deleted:
		return "The recipient is being deleted."
	case reasons.Purged:
		return "The recipient's queue was purged."
	default:
		return string(r)
	}
}

// deliveriesOf returns the deliveries of an event, deliveriesShown at most.
func (s *Reader) deliveriesOf(ctx context.Context, key string) ([]*outboundv1.Delivery, error) {
	var out []*outboundv1.Delivery
	for token := ""; ; {
		page, err := s.Search.ListDeliveries(ctx, &outboundv1.ListDeliveriesRequest{EventId: key, PageSize: deliveriesShown, PageToken: token})
		if err != nil {
			return nil, err
		}
		out = append(out, page.GetDeliveries()...)
		if token = page.GetNextPageToken(); token == "" || len(out) >= deliveriesShown {
			return out, nil
		}
	}
}
