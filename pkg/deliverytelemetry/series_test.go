package deliverytelemetry_test

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/deliverytelemetry"
	"github.com/outbound-events/outbound/pkg/recipient"
)

func TestSoManyRecipientsAsAllowedHaveSeriesOfTheirOwn(t *testing.T) {
	tel := setup(t, io.Discard)
	tel.MaxSeries = 3
	now := time.Now()
	o := deliverytelemetry.NewAt(tel, func() time.Time { return now })
	delivered := func(id string) {
		r := report(delivery.Delivered, reasons.OK, delivery.StateDelivered)
		r.Delivery.Recipient = &recipient.Recipient{ID: id, HTTP: &recipient.HTTPTarget{}}
		r.Outcome.Began, r.Delivery.Accepted = now, now.Add(-time.Second)
		o.End(o.Begin(t.Context(), r.Delivery), r)
	}
	for i := range 5 {
		delivered(fmt.Sprintf("r%d", i))
		delivered(fmt.Sprintf("r%d", i))
	}
	check := func(want map[string]int) {
		t.Helper()
		text := metrics(tel)
		for id, n := range want {
			for _, line := range []string{
				fmt.Sprintf(`outbound_attempt_duration_seconds_count{channel="http",reason="ok",recipient=%q,verdict="delivered"} %d`, id, n),
				fmt.Sprintf(`outbound_delivery_latency_seconds_count{channel="http",recipient=%q} %d`, id, n),
				fmt.Sprintf(`outbound_recipient_in_flight{channel="http",recipient=%q} 0`, id),
			} {
				if !strings.Contains(text, line) {
					t.Errorf("metrics lack %s", line)
				}
			}
		}
		if n := strings.Count(text, "outbound_delivery_latency_seconds_count{"); n != len(want) {
			t.Errorf("%d recipients have series, want %d", n, len(want))
		}
	}
	check(map[string]int{"r0": 2, "r1": 2, "r2": 2, "_other": 4})
	// Two of them have nothing to deliver for more than an hour: their places are taken.
	now = now.Add(50 * time.Minute)
	delivered("r1")
	now = now.Add(20 * time.Minute)
	delivered("r4")
	delivered("r3")
	check(map[string]int{"r1": 3, "r3": 1, "r4": 1, "_other": 4})
}

func TestAnAttemptThatRunsIsInFlight(t *testing.T) {
	tel := setup(t, io.Discard)
	o := deliverytelemetry.New(tel)
	r := report(delivery.Postpone, reasons.Shutdown, "")
	ctx := o.Begin(t.Context(), r.Delivery)
	if text := metrics(tel); !strings.Contains(text, `outbound_recipient_in_flight{channel="http",recipient="crm"} 1`) {
		t.Error("an attempt that runs is not in flight")
	}
	o.End(ctx, r)
	if text := metrics(tel); !strings.Contains(text, `outbound_recipient_in_flight{channel="http",recipient="crm"} 0`) {
		t.Error("an attempt that was put off is still in flight")
	}
}
