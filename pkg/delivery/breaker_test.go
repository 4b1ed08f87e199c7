package delivery_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/recipient"
)

func TestABreakerSparesAReceiverThatIsAway(t *testing.T) {
	const interval = 300 * time.Millisecond
	w := newFixture(t)
	w.recipient("r1", func(r *recipient.Recipient) {
		r.Retry = recipient.Retry{Interval: interval, Duration: 5 * interval}
	})
	w.send = func(*delivery.Delivery) delivery.Outcome {
		return delivery.Outcome{Fault: delivery.FaultConnect}
	}
	began := time.Now()
	w.run()
	var ids []string
	for i := range 200 {
		ids = append(ids, fmt.Sprintf("e-%d", i))
	}
	w.publish(ids...)
	w.drained("r1")
	without := 0
	for _, id := range ids {
		rec := w.final("r1", id, "")
		if rec.State != delivery.StateExpired || rec.Reason != reasons.Expired || rec.Detail == "" {
			t.Fatalf("%s: %+v", id, rec)
		}
		if rec.Attempt == 0 {
			without++
		}
	}
	// The first pull and the probes are attempts; without the breaker there would be 200 at least, and 5 times as many in time.
	most := 16 + 2*(1+int(time.Since(began)/interval))
	if n := len(w.attempts("r1")); n > most || without < len(ids)-most {
		t.Errorf("%d attempts, want %d at most; %d events expired without one", n, most, without)
	}
}

func TestABreakerClosesAtTheFirstSuccess(t *testing.T) {
	w := newFixture(t)
	w.recipient("r1")
	var mended atomic.Bool
	w.send = func(d *delivery.Delivery) delivery.Outcome {
		if mended.Load() {
			return delivery.Outcome{Status: 200}
		}
		return delivery.Outcome{Status: 503}
	}
	w.run()
	var ids []string
	for i := range 100 {
		ids = append(ids, fmt.Sprintf("e-%d", i))
	}
	w.publish(ids...)
	w.until("the breaker has opened", func() bool { return len(w.attempts("r1")) >= 8 })
	mended.Store(true)
	w.drained("r1")
	for _, id := range ids {
		if rec := w.final("r1", id, ""); rec.State != delivery.StateDelivered {
			t.Fatalf("%s: %+v", id, rec)
		}
	}
}
