package detail_test

import (
	"strings"
	"testing"

	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/services/history/internal/detail"
)

func TestEachReasonToSkipIsASentence(t *testing.T) {
	for _, r := range []reasons.Reason{reasons.TypeUnwanted, reasons.ApplianceOut, reasons.NoExternalKey, reasons.FilterFalse,
		reasons.Disabled, reasons.Deleted, reasons.Purged} {
		if got := detail.SkipReason(r); !strings.HasPrefix(got, "The recipient") || !strings.HasSuffix(got, ".") {
			t.Errorf("%s: %q", r, got)
		}
	}
}

func TestARecordWithoutADetailIsDescribed(t *testing.T) {
	for want, got := range map[string]string{
		"Delivered after 1 attempt.":              detail.SummaryOf(delivery.StateDelivered, reasons.OK, 1),
		"Delivered after 3 attempts.":             detail.SummaryOf(delivery.StateDelivered, reasons.OK, 3),
		"Waiting for the first attempt.":          detail.SummaryOf(delivery.StateWaiting, "", 0),
		"EXPIRED after 2 attempts: http status.":  detail.SummaryOf(delivery.StateExpired, reasons.HTTPStatus, 2),
		"RETRYING after 1 attempt: rate limited.": detail.SummaryOf(delivery.StateRetrying, "rate_limited", 1),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestEntriesOfATimelineAreOfTheirKind(t *testing.T) {
	record := func(state delivery.State, reason reasons.Reason) deliverylog.StoredRecord {
		return deliverylog.StoredRecord{Record: delivery.Record{Recipient: "crm", State: state, Reason: reason, Attempt: 1}}
	}
	for want, r := range map[string]deliverylog.StoredRecord{
		"final": record(delivery.StateDelivered, reasons.OK), "attempt": record(delivery.StateRetrying, reasons.HTTPStatus),
		"note": record(delivery.StateRetrying, reasons.Extended),
	} {
		if got := detail.EntryOf(r); got.GetKind() != want || got.GetDetail() == "" || got.GetState().String() != string(r.State) {
			t.Errorf("%s for %s is %v, want %s", r.State, r.Reason, got, want)
		}
	}
	accepted := event.IntakeRecord{Accepted: true, Sequence: 7, Via: "NATS"}
	if got := detail.IntakeEntry(accepted); got.GetDetail() != "Accepted over NATS as event 7." {
		t.Errorf("accepted: %v", got)
	}
	refused := event.IntakeRecord{Violations: event.Violations{{Field: "id", Reason: "MISSING", Description: "is empty"}}}
	if got := detail.IntakeEntry(refused); got.GetKind() != "rejected" || got.GetReason() != "MISSING" ||
		!strings.HasPrefix(got.GetDetail(), "Refused: ") {
		t.Errorf("refused: %v", got)
	}
}
