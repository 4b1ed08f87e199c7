package detail

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/event"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/history/internal/protofield"
)

// The kinds of entries of a timeline.
const (
	kindAccepted = "accepted"
	kindRejected = "rejected"
	kindAttempt  = "attempt"
	kindFinal    = "final"
	kindNote     = "note"
)

// timeline returns what happened to an event, oldest first: its intake, then every record of every delivery.
func (s *Reader) timeline(ctx context.Context, rec event.IntakeRecord, known []*outboundv1.Delivery) ([]*outboundv1.TimelineEntry, error) {
	out := []*outboundv1.TimelineEntry{intakeEntry(rec)}
	found := make([][]deliverylog.StoredRecord, len(known))
	g, reading := errgroup.WithContext(ctx)
	g.SetLimit(s.Lookups)
	for i, d := range known {
		if d.GetState() == outboundv1.DeliveryState_WAITING {
			continue
		}
		g.Go(func() (err error) {
			found[i], err = s.Log.AttemptsOf(reading, delivery.Record{
				Recipient: d.GetRecipientId(), EventID: rec.EventID, Appliance: rec.Appliance, Type: d.GetEventType(), Session: d.GetSessionId(),
				ExternalKey: d.GetExternalKey(), ReplayID: d.GetReplayId(),
			})
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	for _, r := range slices.Concat(found...) {
		out = append(out, entryOf(r))
	}
	slices.SortStableFunc(out[1:], func(a, b *outboundv1.TimelineEntry) int {
		return cmp.Or(a.GetTime().AsTime().Compare(b.GetTime().AsTime()), cmp.Compare(a.GetRecipientId(), b.GetRecipientId()))
	})
	return out, nil
}

func intakeEntry(rec event.IntakeRecord) *outboundv1.TimelineEntry {
	t := &outboundv1.TimelineEntry{Time: protofield.Timestamp(rec.Time), Kind: kindAccepted,
		Detail: fmt.Sprintf("Accepted%s as event %d.", viaText(rec), rec.Sequence)}
	if !rec.Accepted {
		t.Kind, t.Detail = kindRejected, fmt.Sprintf("Refused%s.", viaText(rec))
		if len(rec.Violations) > 0 {
			t.Reason = rec.Violations[0].Reason
			t.Detail = fmt.Sprintf("Refused%s: %s", viaText(rec), protofield.Text(rec.Violations.Error()))
		}
	}
	return t
}

// viaText says over which protocol an event came, if that is known.
func viaText(rec event.IntakeRecord) string {
	if rec.Via == "" {
		return ""
	}
	return " over " + rec.Via
}

// entryOf converts a record: it is final if it ends the delivery, and a note if it is not of an attempt.
func entryOf(r deliverylog.StoredRecord) *outboundv1.TimelineEntry {
	t := &outboundv1.TimelineEntry{
		Time: protofield.Timestamp(r.Time), Kind: kindAttempt, RecipientId: r.Recipient,
		State:  outboundv1.DeliveryState_State(outboundv1.DeliveryState_State_value[string(r.State)]),
		Reason: string(r.Reason), Detail: protofield.Text(r.Detail), Attempt: int32(min(r.Attempt, 1<<30)), ReplayId: r.ReplayID, Actor: r.Actor,
	}
	switch {
	case r.State.Final():
		t.Kind = kindFinal
	case r.Reason.OperatorChange():
		t.Kind = kindNote
	}
	if t.GetDetail() == "" {
		t.Detail = summaryOf(r.State, r.Reason, r.Attempt)
	}
	return t
}
