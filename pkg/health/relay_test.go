package health_test

import (
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/health"
)

func TestARelayStandsAsItWasSeenLast(t *testing.T) {
	at := func(s int) time.Time { return time.Date(2026, 11, 21, 10, 0, s, 0, time.UTC) }
	r := health.Relay{}.Seen(health.RelayAttempts{At: at(1), Line: "no", Etag: "1"})
	r = r.Seen(health.RelayAttempts{At: at(2), Line: "still no", Etag: "1"})
	if r.Line != "still no" || !r.Since.Equal(at(1)) || !r.Checked.Equal(at(2)) || !r.Accepted.IsZero() {
		t.Errorf("failing: %+v", r)
	}
	if late := r.Seen(health.RelayAttempts{At: at(1), Line: health.RelayOK, Etag: "1", Accepted: true}); late.Line != "still no" ||
		!late.Accepted.Equal(at(1)) {
		t.Errorf("a late sight: %+v", late)
	}
	if other := r.Seen(health.RelayAttempts{At: at(3), Line: "no", Etag: "2"}); !other.Since.Equal(at(3)) {
		t.Errorf("with other settings: %+v", other)
	}
	r = r.Seen(health.RelayAttempts{At: at(4), Line: health.RelayOK, Etag: "1", Accepted: true})
	if r.Line != health.RelayOK || !r.Since.IsZero() || !r.Accepted.Equal(at(4)) {
		t.Errorf("mended: %+v", r)
	}
}

func TestARelayIsProbedByOneWhenNobodyLooked(t *testing.T) {
	now := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	fresh := health.Relay{Line: health.RelayOK, Etag: "1", Checked: now.Add(-59 * time.Second)}
	old, changed, claimed := fresh, fresh, fresh
	old.Checked, changed.Etag = now.Add(-time.Minute), "2"
	claimed.Checked, claimed.Probing = now.Add(-time.Hour), now.Add(time.Second)
	for name, c := range map[string]struct {
		r   health.Relay
		due bool
	}{"fresh": {fresh, false}, "old": {old, true}, "changed": {changed, true}, "claimed": {claimed, false},
		"never": {health.Relay{Etag: "1"}, true}} {
		if got := c.r.ProbeDue(now, time.Minute, "1"); got != c.due {
			t.Errorf("%s: due is %t", name, got)
		}
	}
}

func TestAProbeOfEarlierSettingsHoldsNobodyUp(t *testing.T) {
	now := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	r := health.Relay{Line: health.RelayOK, Etag: "1", Checked: now.Add(-time.Hour)}.Claimed("1", now.Add(time.Minute))
	if r.ProbeDue(now, time.Minute, "1") || !r.ProbeDue(now, time.Minute, "2") {
		t.Error("a claim holds up other settings, or not its own")
	}
	r.ProbingEtag = "" // of a sender that does not say what it probes
	if r.ProbeDue(now, time.Minute, "2") {
		t.Error("a claim that does not say of what is passed over")
	}
	if r = r.Claimed("2", now.Add(time.Minute)).Seen(health.RelayAttempts{At: now, Line: health.RelayOK, Etag: "2"}); r.ProbingEtag != "" {
		t.Error("a claim outlives its probe")
	}
}
