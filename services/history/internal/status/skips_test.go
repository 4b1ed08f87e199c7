package status_test

import (
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/services/history/internal/status"
)

func TestWhatIsSkippedIsCountedFromATimeOn(t *testing.T) {
	a, began := status.NewActivity(), time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	skip := func(id string, after time.Duration, reason reasons.Reason) {
		a.Count(deliverylog.RecordHeader{Recipient: id, State: delivery.StateSkipped, Reason: reason, Stored: began.Add(after)})
	}
	for range 30 {
		skip("r1", 0, reasons.Disabled)
	}
	for range 48 {
		skip("r1", time.Minute+500*time.Millisecond, reasons.Disabled)
	}
	skip("r1", 2*time.Minute, reasons.FilterFalse) // it would be skipped anyway
	skip("r2", 2*time.Minute, reasons.Disabled)
	for after, want := range map[time.Duration]int64{0: 78, time.Second: 48, time.Minute: 48, time.Hour: 0} {
		if got := a.SkippedSince("r1", began.Add(after)); got != want {
			t.Errorf("from %s on %d were skipped, want %d", after, got, want)
		}
	}
	// However many there are, none is forgotten.
	for i := range 10_000 {
		skip("r3", time.Duration(i)*time.Second, reasons.Disabled)
	}
	if got := a.SkippedSince("r3", began); got != 10_000 {
		t.Errorf("%d were skipped, want 10000", got)
	}
	if got := a.SkippedSince("r3", began.Add(9_990*time.Second)); got != 10 {
		t.Errorf("%d were skipped in the last 10 s, want 10", got)
	}
	// Nobody asks for what was skipped longer ago than events are stored.
	a.Count(deliverylog.RecordHeader{Recipient: "r2", State: delivery.StateDelivered, Stored: began.Add(9 * 24 * time.Hour)})
	if got := a.SkippedSince("r1", began); got != 0 {
		t.Errorf("%d are remembered after 9 days", got)
	}
	a.Reset()
	if got := a.SkippedSince("r2", began); got != 0 {
		t.Errorf("%d are counted after a reset", got)
	}
}
