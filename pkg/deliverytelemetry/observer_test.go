package deliverytelemetry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/deliverytelemetry"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/telemetry"
)

const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func setup(t testing.TB, log io.Writer) *telemetry.Telemetry {
	t.Helper()
	o := telemetry.DefaultOptions()
	o.LogFormat, o.LogTo, o.Service = "json", log, "http-sender"
	tel, err := telemetry.Setup(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tel.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return tel
}

func report(kind delivery.VerdictKind, reason reasons.Reason, state delivery.State) delivery.Report {
	return delivery.Report{
		Delivery: &delivery.Delivery{
			Recipient: &recipient.Recipient{ID: "crm"}, Event: &event.Event{ID: "e-1", Appliance: "a-1", Type: "support_conference_end"},
			Attempt: 2, TraceParent: parent,
		},
		Channel: recipient.HTTP, Sequence: 7, State: state,
		Outcome: delivery.Outcome{Status: 500, Took: 12 * time.Millisecond, Detail: "HTTP 500"},
		Verdict: delivery.Verdict{Kind: kind, Reason: reason},
	}
}

func lines(t *testing.T, log *bytes.Buffer) []map[string]any {
	t.Helper()
	var all []map[string]any
	for d := json.NewDecoder(log); ; {
		var line map[string]any
		if err := d.Decode(&line); err == io.EOF {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, line)
	}
}

func metrics(tel *telemetry.Telemetry) string {
	w := httptest.NewRecorder()
	tel.MetricsHandler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return w.Body.String()
}

func TestAnAttemptIsOneLineAndOneMetric(t *testing.T) {
	var log bytes.Buffer
	tel := setup(t, &log)
	o := deliverytelemetry.New(tel)
	r := report(delivery.Retry, reasons.HTTPStatus, delivery.StateRetrying)
	o.End(o.Begin(t.Context(), r.Delivery), r)

	all := lines(t, &log)
	if len(all) != 1 {
		t.Fatalf("wrote %d lines, want 1: %v", len(all), all)
	}
	for key, want := range map[string]any{
		"msg": "delivery attempted", "level": "WARN", "service": "http-sender", "recipient": "crm", "channel": "http", "event_id": "a-1~e-1",
		"event_type": "support_conference_end", "attempt": 2.0, "verdict": "retry", "reason": "http_status", "state": "RETRYING",
		"status": 500.0, "took_ms": 12.0, "sequence": 7.0, "detail": "HTTP 500",
	} {
		if all[0][key] != want {
			t.Errorf("%s is %v, want %v", key, all[0][key], want)
		}
	}
	want := `outbound_attempt_duration_seconds_count{channel="http",reason="http_status",recipient="crm",verdict="retry"} 1`
	if !strings.Contains(metrics(tel), want) {
		t.Errorf("metrics lack %s", want)
	}
}

func TestWhatWasPutOffIsNoAttempt(t *testing.T) {
	var log bytes.Buffer
	tel := setup(t, &log)
	o := deliverytelemetry.New(tel)
	late := report(delivery.Postpone, reasons.Shutdown, "")
	o.End(o.Begin(t.Context(), late.Delivery), late)
	o.Ended(report(delivery.Postpone, reasons.RateLimit, ""))
	if all := lines(t, &log); len(all) != 0 {
		t.Errorf("wrote %v, want nothing at level info", all)
	}
	text := metrics(tel)
	if strings.Contains(text, "outbound_attempt_duration_seconds_count") {
		t.Error("what was put off was counted as an attempt")
	}
	want := `outbound_unattempted_total{channel="http",reason="shutdown",recipient="crm",verdict="postpone"} 1`
	if !strings.Contains(text, want) {
		t.Errorf("metrics lack %s", want)
	}
}

func TestAnUnreadableMessageIsTold(t *testing.T) {
	var log bytes.Buffer
	o := deliverytelemetry.New(setup(t, &log))
	r := report(delivery.Drop, reasons.Unreadable, delivery.StateRejected)
	r.Delivery.Event = nil
	o.Ended(r)
	all := lines(t, &log)
	if len(all) != 1 || all[0]["reason"] != "unreadable" || all[0]["state"] != "REJECTED" {
		t.Errorf("wrote %v, want one line with reason and state", all)
	}
}

func TestTheSenderSeesTheTraceOfTheEvent(t *testing.T) {
	o := deliverytelemetry.New(setup(t, io.Discard))
	ctx := o.Begin(t.Context(), report(delivery.Delivered, reasons.OK, delivery.StateDelivered).Delivery)
	got := telemetry.TraceParent(ctx)
	if !strings.HasPrefix(got, parent[:36]) || strings.Contains(got, "b7ad6b7169203331") {
		t.Errorf("traceparent is %q, want the event's trace with a span of its own", got)
	}
}

func BenchmarkAttempt(b *testing.B) {
	o := deliverytelemetry.New(setup(b, io.Discard))
	r := report(delivery.Delivered, reasons.OK, delivery.StateDelivered)
	for b.Loop() {
		o.End(o.Begin(b.Context(), r.Delivery), r)
	}
}
