package delivery_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/outbound-events/outbound/pkg/bus/eventlog"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/recipient"
)

// TestWhatWasPulledIsNotSent has a receiver acknowledge deliveries that no sender has seen yet. A sender that knows of it sends the others
// alone; one that does not sends all, once.
func TestWhatWasPulledIsNotSent(t *testing.T) {
	for known, want := range map[bool][]string{true: {"e-2", "e-4"}, false: {"e-1", "e-2", "e-3", "e-4"}} {
		t.Run(fmt.Sprint(known), func(t *testing.T) {
			w := newFixture(t)
			r := w.recipient("r", func(r *recipient.Recipient) { r.Order = recipient.Strict })
			w.publish("e-1", "e-2", "e-3", "e-4")
			events, _, err := eventlog.New(w.conn).EventsFrom(t.Context(), "", 1, 10)
			if err != nil || len(events) != 4 {
				t.Fatalf("%d events: %v", len(events), err)
			}
			for _, e := range []eventlog.StoredEvent{events[0], events[2]} {
				stored := make(chan error, 1)
				m := delivery.Message{Event: e.Event, Sequence: e.Sequence, Stored: e.Time}
				w.log.AppendAfter(m.Acknowledged(r, e.Sequence, nil, nil, "token x"), 0, func(err error) { stored <- err })
				if err := <-stored; err != nil {
					t.Fatal(err)
				}
			}
			if w.pulled = func(string) uint64 { return 0 }; known {
				w.pulled = func(string) uint64 { return events[2].Sequence }
			}
			w.run()
			w.drained("r")
			got := w.attempts("r")
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("%v were sent, want %v", got, want)
			}
			for _, id := range []string{"e-1", "e-3"} {
				rec := w.final("r", id, "")
				if rec.State != delivery.StateDelivered || known && (rec.Reason != reasons.Pulled || rec.Attempt != 0 || rec.Actor != "token x") {
					t.Errorf("%s ended as %s (%s) after %d attempts", id, rec.State, rec.Reason, rec.Attempt)
				}
			}
		})
	}
}
