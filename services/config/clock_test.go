package config_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bustest"
	"github.com/outbound-events/outbound/pkg/delivery"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// The windows in which a recipient is disabled are compared with the broker's times of events, so they are of its clock.
func TestExactlyTheEventsOfADisabledWindowAreSkippedWhateverTheClockOfTheService(t *testing.T) {
	for _, ahead := range []time.Duration{2 * time.Hour, -2 * time.Hour} {
		t.Run(ahead.String(), func(t *testing.T) {
			h := start(t)
			h.stop()
			clock := bustest.NewClock(ahead)
			h.own = h.broker.ConnAt(clock.Now)
			h.run()
			in := httpRecipient("R")
			in.EventTypes = []string{typeEnd}
			h.create(in)
			p := bus.NewPublisher(h.bus)
			t.Cleanup(p.Close)
			const each = 10
			windows := []delivery.State{delivery.StateDelivered, delivery.StateSkipped, delivery.StateDelivered, delivery.StateSkipped,
				delivery.StateDelivered}
			for i, want := range windows {
				if i > 0 {
					h.setEnabled("r", want == delivery.StateDelivered)
				}
				if i == len(windows)/2 {
					clock.Set(-ahead) // the clock is set while a window is open
				}
				for n := range each {
					h.event(p, typeEnd, fmt.Sprintf("e-%d-%d", i, n))
				}
			}
			s := h.deliver(h.conn, true) // only now: it knows all windows, and judges by them
			h.eventually("all have come to an end", func() bool { return s.ended() == each*len(windows) })
			for i, want := range windows {
				for n := range each {
					if id := fmt.Sprintf("e-%d-%d", i, n); s.became(id) != want {
						t.Errorf("%s is %s, want %s", id, s.became(id), want)
					}
				}
			}
			if off := time.Since(h.stored("r").GetRecipient().GetUpdateTime().AsTime()).Abs(); off > time.Minute {
				t.Errorf("the last change is stored as of %s ago", off)
			}
		})
	}
}

func (h *fixture) setEnabled(id string, enabled bool) {
	h.t.Helper()
	if err := h.tryUpdate(h.ctx(), &outboundv1.Recipient{Id: id, Enabled: &enabled}, "enabled"); err != nil {
		h.t.Fatal(err)
	}
}
