package history_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/health"
	"github.com/outbound-events/outbound/pkg/telemetry"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/history"
)

// metered starts a service that shows its status as metrics of at most so many recipients, and returns a function that reads them.
func (h *fixture) metered(most int) func() string {
	h.t.Helper()
	o := telemetry.DefaultOptions()
	o.LogTo, o.MaxRecipientSeries = io.Discard, most
	tel, err := telemetry.Setup(h.t.Context(), o)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = tel.Shutdown(context.Background()) })
	h.running(func(d *history.Deps) { d.Telemetry = tel })
	return func() string {
		w := httptest.NewRecorder()
		tel.MetricsHandler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		return w.Body.String()
	}
}

// wantLines says which lines the metrics lack.
func wantLines(t *testing.T, text string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !strings.Contains(text, line) {
			t.Errorf("metrics lack %s", line)
		}
	}
}

func TestTheStatusIsShownAsMetrics(t *testing.T) {
	const end = "support_conference_end"
	h := newFixtureWith(t, history.EmbeddedAlways, &outboundv1.SmtpSettings{Host: "relay.example.com", FromAddress: "a@example.com"},
		httpRecipient("good", end), httpRecipient("bad", end))
	since := time.Now().Add(-time.Hour).Truncate(time.Second)
	h.accept("a1", "e-1")
	h.accept("a1", "e-2")
	h.stands("bad", health.Status{Health: health.Failing, Since: since, Reason: reasons.DNS, BreakerOpen: true}, 0)
	text := h.metered(10)()
	wantLines(t, text, "outbound_status_up 1",
		`outbound_recipient_waiting{channel="http",recipient="good"} 2`,
		fmt.Sprintf(`outbound_recipient_failing_since_timestamp_seconds{channel="http",recipient="bad"} %g`, float64(since.Unix())),
		`outbound_recipient_failing_since_timestamp_seconds{channel="http",recipient="good"} 0`,
		`outbound_recipient_breaker_open{channel="http",recipient="bad"} 1`,
		`outbound_recipients{channel="http",health="failing"} 1`, `outbound_recipients{channel="http",health="paused"} 0`,
		`outbound_deliveries_waiting{channel="http",health="ok"} 2`,
		`outbound_stream_messages{stream="EVENTS"} 2`, `outbound_stream_bytes_limit{stream="EVENTS"}`,
		`outbound_stream_used_ratio{stream="HISTORY"}`, `outbound_stream_full_timestamp_seconds{stream="EVENTS"} 0`,
		`outbound_recipient_next_expiry_timestamp_seconds{channel="http",recipient="bad"} 1`,
		`outbound_recipient_next_expiry_timestamp_seconds{channel="http",recipient="good"} 0`,
		`outbound_appliance_last_event_timestamp_seconds{appliance="a2"} 0`, "outbound_appliances 2", "outbound_appliances_silent 0",
		"outbound_relay_configured 1", "outbound_relay_up 0", "outbound_notices ")
	if strings.Contains(text, `outbound_recipient_oldest_waiting_seconds{channel="http",recipient="good"} 0`+"\n") {
		t.Error("the oldest delivery has no age")
	}
}

func TestRecipientsThatNeedAttentionHaveSeriesFirst(t *testing.T) {
	const end = "support_conference_end"
	all := make([]*outboundv1.Recipient, 6)
	for i := range all {
		all[i] = httpRecipient(fmt.Sprintf("r%d", i), end)
	}
	h := newFixture(t, history.EmbeddedAlways, all...)
	h.accept("a1", "e-1")
	h.stands("r5", health.Status{Health: health.Failing, Since: time.Now(), Reason: reasons.DNS}, 0)
	text := h.metered(2)()
	wantLines(t, text, `outbound_recipient_waiting{channel="http",recipient="r5"} 1`, `outbound_recipient_waiting{channel="http",recipient="r0"} 1`,
		`outbound_recipient_waiting{channel="http",recipient="_other"} 4`, `outbound_recipients{channel="http",health="ok"} 5`,
		`outbound_deliveries_waiting{channel="http",health="ok"} 5`)
	if n := strings.Count(text, "outbound_recipient_waiting{"); n != 3 {
		t.Errorf("%d recipients have series, want 2 and the rest", n)
	}
	if n := strings.Count(text, "outbound_appliance_silent{"); n != 2 {
		t.Errorf("%d appliances have series, want 2", n)
	}
}

func TestAStatusThatCannotBeReadIsShown(t *testing.T) {
	h := newFixture(t, history.EmbeddedAlways, httpRecipient("good", "support_conference_end"))
	read := h.metered(10)
	h.bus.Close()
	text := read()
	wantLines(t, text, "outbound_status_up 0")
	if strings.Contains(text, "outbound_recipient_waiting{") {
		t.Error("recipients have values that are not known")
	}
}
