package status_test

import (
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/services/history/internal/status"
)

// sums adds up what is counted of a recipient.
func sums(a *status.Activity, id string, now time.Time) (hours int, delivered, failed int64) {
	all, _ := a.Hourly(id, now)
	for _, x := range all {
		delivered, failed = delivered+x.GetDelivered(), failed+x.GetFailed()
	}
	return len(all), delivered, failed
}

func TestAttemptsAreCountedByTheHour(t *testing.T) {
	a, now := status.NewActivity(), time.Date(2026, 11, 21, 10, 30, 0, 0, time.UTC)
	record := func(ago time.Duration, state delivery.State, change func(*deliverylog.RecordHeader)) {
		h := deliverylog.RecordHeader{Recipient: "r1", State: state, Stored: now.Add(-ago), Tried: true}
		if change != nil {
			change(&h)
		}
		a.Count(h)
	}
	record(30*time.Hour, delivery.StateDelivered, nil)
	record(3*time.Hour, delivery.StateDelivered, nil)
	record(3*time.Hour, delivery.StateRetrying, nil)
	record(time.Hour, delivery.StateExpired, nil)
	record(0, delivery.StateRejected, nil)
	record(0, delivery.StateSkipped, nil)
	record(0, delivery.StateCancelled, nil)
	record(0, delivery.StateRetrying, func(h *deliverylog.RecordHeader) { h.Carried = true })
	record(0, delivery.StateRetrying, func(h *deliverylog.RecordHeader) { h.Reason = reasons.Extended })
	if hours, delivered, failed := sums(a, "r1", now); hours != 4 || delivered != 1 || failed != 3 {
		t.Errorf("%d delivered and %d failed in %d hours", delivered, failed, hours)
	}
	if hours, _, _ := sums(a, "r2", now); hours != 0 {
		t.Errorf("%d hours of a recipient without deliveries", hours)
	}
}

func TestTheLogIsSearchedForWhatWasNotCounted(t *testing.T) {
	a, now := status.NewActivity(), time.Now()
	known := func() bool {
		_, known := a.Hourly("r1", now)
		return known
	}
	a.Count(deliverylog.RecordHeader{Recipient: "r1", State: delivery.StateRetrying, Stored: now, Tried: true})
	if !a.CaughtUp() || a.CaughtUp() {
		t.Error("the end of the log is news twice, or never")
	}
	if known() {
		t.Error("the last delivery is known though none was counted")
	}
	a.Searched("r1", now.Add(-time.Hour), time.Time{})
	if !known() {
		t.Error("the log is searched twice")
	}
	a.Reset()
	if hours, _, _ := sums(a, "r1", now); hours != 0 || known() {
		t.Errorf("%d hours are left after a reset", hours)
	}
}
