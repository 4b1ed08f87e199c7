package delivery_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/delivery"
)

// lastReport is an observer that keeps the last report of an attempt.
type lastReport struct {
	watcher
	mu   sync.Mutex
	last delivery.Report
}

func (o *lastReport) End(ctx context.Context, r delivery.Report) {
	o.mu.Lock()
	o.last = r
	o.mu.Unlock()
	o.watcher.End(ctx, r)
}

func (o *lastReport) report() delivery.Report {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.last
}

func TestReportsSaySinceWhenTheBreakerIsOpenAndWhenItProbes(t *testing.T) {
	for name, outage := range outages {
		t.Run(name, func(t *testing.T) {
			w := newFixture(t)
			mended := false
			var mu sync.Mutex
			w.send = func(*delivery.Delivery) delivery.Outcome {
				mu.Lock()
				defer mu.Unlock()
				if mended {
					return delivery.Outcome{Status: 200}
				}
				return outage
			}
			w.recipient("r", hourly)
			o := &lastReport{}
			w.observer = o
			began := time.Now()
			w.publish(names("e-", 80)...)
			w.run()
			w.until("the breaker is open", func() bool { return o.report().BreakerOpen && o.underWay.Load() == 0 })
			got := o.report()
			const second = time.Second
			if got.BreakerSince.Before(began.Add(-second)) || got.BreakerSince.After(time.Now().Add(second)) {
				t.Errorf("it is open since %s; the test began at %s", got.BreakerSince, began)
			}
			if wait := got.NextProbe.Sub(got.BreakerSince); wait < time.Hour-second || wait > time.Hour+time.Minute {
				t.Errorf("the next probe comes %s after it opened, want the retry interval", wait)
			}
			mu.Lock()
			mended = true
			mu.Unlock()
			w.wake()
			w.until("a success", func() bool { return o.report().Verdict.Kind == delivery.Delivered })
			if got := o.report(); got.BreakerOpen || !got.BreakerSince.IsZero() || !got.NextProbe.IsZero() {
				t.Errorf("after a success it is open: %t, since %s, probing at %s", got.BreakerOpen, got.BreakerSince, got.NextProbe)
			}
		})
	}
}
