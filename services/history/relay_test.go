package history_test

import (
	"strings"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/health"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/history"
)

func TestTheRelaysLineIsWhatTheEmailSendersSawLast(t *testing.T) {
	unset := newFixture(t, history.EmbeddedAlways)
	got, err := unset.status.GetStatus(t.Context(), &outboundv1.GetStatusRequest{})
	if r := got.GetRelay(); err != nil || r.GetConfigured() || r.GetOk() || !strings.HasPrefix(r.GetLine(), "No SMTP relay configured") {
		t.Errorf("unset: %v, %v", r, err)
	}
	h := newFixtureWith(t, history.EmbeddedAlways,
		&outboundv1.SmtpSettings{Host: "relay.example.com", FromAddress: "o@example.com", Etag: "7"})
	now := time.Now().UTC()
	for name, c := range map[string]struct {
		seen health.Relay
		line string
		ok   bool
	}{
		"never": {health.Relay{}, "not checked since the last change", false},
		"fine":  {health.Relay{Line: health.RelayOK, Etag: "7", Checked: now, Accepted: now}, "OK", true},
		"failing": {health.Relay{Line: "relay.example.com:587 refuses us", Etag: "7", Checked: now, Since: now},
			"relay.example.com:587 refuses us", false},
		"of before": {health.Relay{Line: health.RelayOK, Etag: "6", Checked: now}, "not checked since the last change", false},
		"long ago":  {health.Relay{Line: health.RelayOK, Etag: "7", Checked: now.Add(-time.Hour)}, "not checked since 20", false},
	} {
		store := control.NewHealthStore(h.bus)
		_, revision, err := store.Relay(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := store.PutRelay(t.Context(), c.seen, revision); err != nil {
			t.Fatal(err)
		}
		s, err := h.status.GetStatus(t.Context(), &outboundv1.GetStatusRequest{})
		r := s.GetRelay()
		if err != nil || !strings.HasPrefix(r.GetLine(), c.line) || r.GetOk() != c.ok || !r.GetConfigured() ||
			(r.GetFailingSinceTime() != nil) != !c.seen.Since.IsZero() {
			t.Errorf("%s: %v, %v", name, r, err)
		}
	}
}
