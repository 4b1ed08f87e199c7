package search

import (
	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasonclass"
	"github.com/outbound-events/outbound/pkg/event"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/history/internal/protofield"
)

// Delivery converts a record to an API message. States have the same names in both.
func (s *Searcher) Delivery(r deliverylog.StoredRecord) *outboundv1.Delivery {
	d := &outboundv1.Delivery{
		EventId: event.Key(r.Appliance, r.EventID), EventType: r.Type, ApplianceId: r.Appliance, RecipientId: r.Recipient,
		State:  outboundv1.DeliveryState_State(outboundv1.DeliveryState_State_value[string(r.State)]),
		Reason: string(r.Reason), Detail: r.Detail,
		Attempts:         int32(min(r.Attempt, 1<<30)),
		FirstAttemptTime: protofield.OptionalTimestamp(r.FirstAttempt), LastAttemptTime: protofield.OptionalTimestamp(r.LastAttempt),
		NextAttemptTime: protofield.OptionalTimestamp(r.NextAttempt),
		ExpireTime:      protofield.Timestamp(r.Expire), AcceptTime: protofield.Timestamp(r.Accepted),
		SessionId: r.Session, ExternalKey: r.ExternalKey,
		StatusCode: int32(min(r.Status, 1<<30)), LastAttemptMs: float64(r.TookMicros) / 1000,
		ResponseExcerpt: protofield.Text(string(r.Excerpt)), ReplayId: r.ReplayID, Test: r.Test,
		Channel: r.Channel, ReasonClass: string(reasonclass.Of(r.Reason, r.Status)), RecipientRevision: r.Revision, Actor: r.Actor,
		Sequence: r.Number, Previous: r.Number - min(r.Number, 1),
	}
	if known, ok := s.Config.Recipient(r.Recipient); ok {
		d.RecipientDisplayName = known.DisplayName
	}
	return d
}

func stateOf(s outboundv1.DeliveryState_State) delivery.State {
	if s == outboundv1.DeliveryState_DELIVERY_STATE_UNSPECIFIED {
		return ""
	}
	return delivery.State(s.String())
}

// Event converts an intake record to an API message.
func Event(r event.IntakeRecord) *outboundv1.Event {
	e := &outboundv1.Event{
		EventType: r.Type, ApplianceId: r.Appliance, SessionId: r.Session, ExternalKey: r.ExternalKey,
		EventTime: protofield.OptionalTimestamp(r.EventTime), IntakeTime: protofield.Timestamp(r.Time), Decision: outboundv1.Intake_REJECTED,
		Sequence: r.Sequence, Raw: r.Raw, Via: r.Via,
	}
	if r.Appliance != "" && r.EventID != "" {
		e.EventId = event.Key(r.Appliance, r.EventID)
	}
	if r.Accepted {
		e.Decision = outboundv1.Intake_ACCEPTED
	}
	for _, v := range r.Violations {
		e.Violations = append(e.Violations, &outboundv1.IntakeViolation{Field: v.Field, Reason: v.Reason, Description: v.Description})
	}
	return e
}
