package health_test

import (
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/recipient"
)

func TestTheBreakerThatOpenedFirstCounts(t *testing.T) {
	r := desk("desk", "a.example", 0)
	w := newFixture(t, r)
	opened := time.Now().Add(-time.Hour).UTC()
	d := &delivery.Delivery{Recipient: r, Event: &event.Event{ID: "e"}}
	for i, name := range []string{"a", "b"} {
		probe := opened.Add(time.Duration(i+1) * time.Minute)
		sender := w.sender(name, nil)
		// What is known of a failure is stored every few ticks.
		w.until("the failure is kept", func() bool {
			sender.Ended(delivery.Report{
				Delivery: d, Channel: recipient.HTTP, Verdict: delivery.Verdict{Kind: delivery.Drop, Reason: reasons.Expired},
				State: delivery.StateExpired, BreakerOpen: true, BreakerSince: opened.Add(time.Duration(i) * time.Minute), NextProbe: probe,
			})
			return w.status(r).NextProbe.Equal(probe)
		})
	}
	if st := w.status(r); !st.BreakerOpen || !st.BreakerSince.Equal(opened) {
		t.Errorf("the breaker is open since %s, want the first time, %s", st.BreakerSince, opened)
	}
}
