package status_test

import (
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/settings"
	"github.com/outbound-events/outbound/services/history/internal/status"
)

func TestAnApplianceIsSilentForLongerThanItMay(t *testing.T) {
	now := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		accepted time.Time
		allowed  time.Duration
		want     bool
	}{
		"within its time":   {now.Add(-time.Hour), time.Hour, false},
		"longer":            {now.Add(-time.Hour - time.Second), time.Hour, true},
		"without a limit":   {now.Add(-1000 * time.Hour), 0, false},
		"nothing is stored": {time.Time{}, time.Hour, false},
	} {
		e := status.LastEvent{Appliance: "a1", Auth: settings.ApplianceAuth{SilentAfter: c.allowed}, Accepted: c.accepted}
		if got := e.Silent(now); got != c.want {
			t.Errorf("%s: silent %t", name, got)
		}
	}
	e := status.LastEvent{Appliance: "a1", Accepted: now}
	if s := e.Silence(); !s.Never || s.Appliance != "a1" || !s.Since.Equal(now) {
		t.Errorf("an appliance that never published: %+v", s)
	}
}
