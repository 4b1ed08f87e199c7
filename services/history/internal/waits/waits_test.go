package waits_test

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/outbound-events/outbound/pkg/health"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/recipient/maintenance"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/history/internal/waits"
)

func TestADeliverySaysWhyItWaits(t *testing.T) {
	const retrying, waiting = outboundv1.DeliveryState_RETRYING, outboundv1.DeliveryState_WAITING
	now := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	in := func(d time.Duration) time.Time { return now.Add(d) }
	open := health.Status{Health: health.Failing, BreakerOpen: true}
	probed := func(at time.Time) health.Status { st := open; st.NextProbe = at; return st }
	fails := health.Status{Health: health.Failing}
	over := health.Status{Health: health.OK, BreakerOpen: true}
	soon, minute, ago := in(20*time.Second), in(time.Minute), in(-4*time.Minute)
	none := time.Time{}
	for name, c := range map[string]struct {
		state  outboundv1.DeliveryState_State
		next   time.Time
		held   bool
		health health.Status
		reason string
		want   time.Time
		detail string
	}{
		"its time comes":              {retrying, minute, false, health.Status{}, waits.Interval, minute, "30s"},
		"its time has come":           {retrying, ago, false, health.Status{}, waits.Due, now, "due"},
		"fails, but is not paused":    {retrying, ago, false, fails, waits.Due, now, "due"},
		"first attempt":               {waiting, none, false, health.Status{}, waits.Queue, none, "first attempt"},
		"held":                        {retrying, ago, true, health.Status{}, waits.Paused, none, "paused"},
		"held, first attempt":         {waiting, none, true, health.Status{}, waits.Paused, none, "paused"},
		"held, and the breaker":       {retrying, ago, true, open, waits.Paused, none, "paused"},
		"breaker, next probe":         {retrying, ago, false, probed(soon), waits.Breaker, soon, "30s"},
		"breaker, own time is later":  {retrying, minute, false, probed(soon), waits.Breaker, minute, "breaker"},
		"breaker, a probe is due":     {retrying, ago, false, probed(in(-time.Second)), waits.Breaker, now, "breaker"},
		"breaker, probe not known":    {retrying, ago, false, open, waits.Breaker, now, "breaker"},
		"breaker, first attempt":      {waiting, none, false, probed(soon), waits.Breaker, soon, "breaker"},
		"a breaker of an old failure": {retrying, minute, false, over, waits.Interval, minute, "30s"},
	} {
		r := &recipient.Recipient{ID: "r", Enabled: !c.held, WhileDisabled: recipient.Hold, Retry: recipient.Retry{Interval: 30 * time.Second}}
		d := &outboundv1.Delivery{State: c.state}
		if !c.next.IsZero() {
			d.NextAttemptTime = timestamppb.New(c.next)
		}
		waits.Explain(d, r, c.health, now)
		if d.GetWaitReason() != c.reason || !strings.Contains(d.GetWaitDetail(), c.detail) || d.GetWaitDetail() == "" {
			t.Errorf("%s: it waits for %q: %q, want %q", name, d.GetWaitReason(), d.GetWaitDetail(), c.reason)
		}
		if c.want.IsZero() != (d.GetNextAttemptTime() == nil) || !c.want.IsZero() && !d.GetNextAttemptTime().AsTime().Equal(c.want) {
			t.Errorf("%s: the next attempt is at %v, want %v", name, d.GetNextAttemptTime(), c.want)
		}
	}
}

func TestADeliveryWaitsForTheEndOfAMaintenanceWindow(t *testing.T) {
	now := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	end := now.Add(2 * time.Hour)
	r := &recipient.Recipient{ID: "r", Enabled: true, Retry: recipient.Retry{Interval: 30 * time.Second},
		Maintenance: maintenance.New([]maintenance.Window{{Zone: time.UTC, Start: now.Add(-time.Hour), End: end}})}
	for name, c := range map[string]struct {
		next, want time.Time
	}{"its time comes within it": {now.Add(time.Minute), end}, "its time comes after it": {end.Add(time.Minute), end.Add(time.Minute)}} {
		d := &outboundv1.Delivery{State: outboundv1.DeliveryState_RETRYING, NextAttemptTime: timestamppb.New(c.next)}
		waits.Explain(d, r, health.Status{Health: health.Failing, BreakerOpen: true}, now)
		if d.GetWaitReason() != waits.Maintenance || !strings.Contains(d.GetWaitDetail(), "in maintenance until 12:00 UTC") ||
			!d.GetNextAttemptTime().AsTime().Equal(c.want) {
			t.Errorf("%s: %v", name, d)
		}
	}
	d := &outboundv1.Delivery{State: outboundv1.DeliveryState_WAITING}
	if waits.Explain(d, r, health.Status{}, end); d.GetWaitReason() != waits.Queue {
		t.Errorf("after it: %v", d)
	}
}
