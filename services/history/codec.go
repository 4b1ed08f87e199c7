package history

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/event"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// deliveryOf writes a record as the API has it. A state is the same word in both.
func (s *Service) deliveryOf(r deliverylog.StoredRecord) *outboundv1.Delivery {
	d := &outboundv1.Delivery{
		EventId: event.Key(r.Appliance, r.EventID), EventType: r.Type, ApplianceId: r.Appliance, RecipientId: r.Recipient,
		State:  outboundv1.DeliveryState_State(outboundv1.DeliveryState_State_value[string(r.State)]),
		Reason: string(r.Reason), Detail: r.Detail,
		Attempts:         int32(min(r.Attempt, 1<<30)),
		FirstAttemptTime: timeOf(r.FirstAttempt), LastAttemptTime: timeOf(r.LastAttempt), NextAttemptTime: timeOf(r.NextAttempt),
		ExpireTime: timestamp(r.Expire), AcceptTime: timestamp(r.Accepted),
		SessionId: r.Session, ExternalKey: r.ExternalKey,
		StatusCode: int32(min(r.Status, 1<<30)), LastAttemptMs: float64(r.TookMicros) / 1000,
		ResponseExcerpt: text(r.Excerpt), ReplayId: r.ReplayID, Test: r.Test,
		Channel: r.Channel, ReasonClass: string(reasons.ClassOf(r.Reason, r.Status)), RecipientRevision: r.Revision, Actor: r.Actor,
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

// eventOf writes an intake record as the API has it.
func eventOf(r event.IntakeRecord) *outboundv1.Event {
	e := &outboundv1.Event{
		EventType: r.Type, ApplianceId: r.Appliance, SessionId: r.Session, ExternalKey: r.ExternalKey,
		EventTime: timeOf(r.EventTime), IntakeTime: timestamp(r.Time), Decision: outboundv1.Intake_REJECTED,
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

func timeOf(t *time.Time) *timestamppb.Timestamp {
	if t == nil {
		return nil
	}
	return timestamp(*t)
}

func timestamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// text makes a receiver's answer fit a protobuf string, which is UTF-8.
func text(b []byte) string { return toValid(string(b)) }
