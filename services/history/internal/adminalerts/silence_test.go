package adminalerts_test

import (
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/health"
	"github.com/outbound-events/outbound/pkg/settings"
	"github.com/outbound-events/outbound/services/history/internal/adminalerts"
	"github.com/outbound-events/outbound/services/history/internal/status"
)

func TestEachSilenceIsNotifiedOnce(t *testing.T) {
	now := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	event := func(ago, allowed time.Duration) status.LastEvent {
		return status.LastEvent{Appliance: "a1", Auth: settings.ApplianceAuth{SilentAfter: allowed}, Accepted: now.Add(-ago), Known: true}
	}
	silent, heard := event(2*time.Hour, time.Hour), event(time.Minute, time.Hour)
	of := silent.Silence().Key()
	for _, c := range []struct {
		name  string
		event status.LastEvent
		state health.AlertState
	}{
		{"an appliance that publishes", heard, health.AlertState{}},
		{"a silence that was notified", silent, health.AlertState{Of: of, Notified: true}},
		{"a silence that another process notifies of just now", silent, health.AlertState{Of: of, At: now.Add(-time.Second)}},
	} {
		if v, _ := adminalerts.SilenceDue(c.event, c.state, now); v != adminalerts.LeaveSilence {
			t.Errorf("%s: verdict %d", c.name, v)
		}
	}
	for _, c := range []struct {
		name  string
		state health.AlertState
	}{
		{"a new silence", health.AlertState{}},
		{"a silence after another", health.AlertState{Of: event(50*time.Hour, time.Hour).Silence().Key(), Notified: true}},
		{"a silence whose process has died", health.AlertState{Of: of, At: now.Add(-time.Hour)}},
	} {
		if v, key := adminalerts.SilenceDue(silent, c.state, now); v != adminalerts.NotifySilent || key != of {
			t.Errorf("%s: verdict %d of %s", c.name, v, key)
		}
	}
	if v, key := adminalerts.SilenceDue(heard, health.AlertState{Of: of, Notified: true}, now); v != adminalerts.NotifyHeardAgain ||
		key != of {
		t.Errorf("an appliance that publishes again: verdict %d of %s", v, key)
	}
}

func TestASilenceThatIsOverIsForgotten(t *testing.T) {
	now := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	heard := status.LastEvent{Appliance: "a1", Auth: settings.ApplianceAuth{SilentAfter: time.Hour}, Accepted: now, Known: true}
	of := health.Silence{Since: now.Add(-2 * time.Hour)}.Key()
	if v, _ := adminalerts.SilenceDue(heard, health.AlertState{Of: of, Over: true, Notified: true}, now); v != adminalerts.ForgetSilence {
		t.Errorf("an end that was notified: verdict %d", v)
	}
	heard.Auth.SilentAfter = 0
	if v, _ := adminalerts.SilenceDue(heard, health.AlertState{Of: of, Notified: true}, now); v != adminalerts.ForgetSilence {
		t.Errorf("an appliance that may be silent: verdict %d", v)
	}
	later := status.LastEvent{Appliance: "a1", Auth: settings.ApplianceAuth{SilentAfter: 24 * time.Hour},
		Accepted: now.Add(-2 * time.Hour), Known: true}
	if v, _ := adminalerts.SilenceDue(later, health.AlertState{Of: of, Notified: true}, now); v != adminalerts.ForgetSilence {
		t.Errorf("a silence that may last longer now: verdict %d", v)
	}
}
