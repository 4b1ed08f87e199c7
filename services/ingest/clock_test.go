package ingest_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/bus/eventlog"
	"github.com/outbound-events/outbound/pkg/bustest"
	"github.com/outbound-events/outbound/pkg/event"
)

// Intake goes by the broker's clock: what it accepts, and what time it gives an event, does not depend on its own.
func TestAnIntakeWhoseClockIsWrongDecidesLikeTheOthers(t *testing.T) {
	for _, ahead := range []time.Duration{2 * time.Hour, -2 * time.Hour, 9 * 24 * time.Hour, -9 * 24 * time.Hour} {
		t.Run(ahead.String(), func(t *testing.T) {
			o := defaults()
			o.clock = bustest.NewClock(ahead).Now
			h := open(t, o, "a-1")
			at := func(d time.Duration) string { return `"` + time.Now().Add(d).UTC().Format(time.RFC3339) + `"` }
			publish := func(id, from string) reply {
				return h.post(adminToken, "application/json", eventJSON("a-1", id, "time", from))
			}
			for i, from := range []string{"", at(0), at(-7 * 24 * time.Hour), at(5 * time.Minute)} {
				if r := publish(fmt.Sprint("e-", i), from); r.Status != 200 {
					t.Errorf("an event with the time %s is answered %+v", from, r)
				}
			}
			for _, from := range []string{at(time.Hour), at(-9 * 24 * time.Hour)} {
				if r := publish("wrong", from); r.Status != 400 || len(r.violations()) != 1 || r.violations()[0].Reason != event.ReasonTime {
					t.Errorf("an event with the time %s is answered %+v", from, r)
				}
			}
			e, err := eventlog.New(h.bus).StoredEvent(t.Context(), 1)
			must(t, err)
			if off := time.Since(e.Time).Abs(); off > time.Minute {
				t.Errorf("an event without a time is taken to be of %s", e.Time)
			}
			h.until(func() error {
				rec, err := h.newest("a-1", true)
				if err == nil && time.Since(rec.Time).Abs() > time.Minute {
					t.Errorf("its acceptance is recorded as of %s", rec.Time)
				}
				return err
			})
		})
	}
}
