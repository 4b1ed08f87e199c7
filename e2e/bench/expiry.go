package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/outbound-events/outbound/e2e/harness"
)

// expiryRuns is how many times each side of the expiry row is measured, in turn; the middle ones are compared.
const expiryRuns = 3

// expiry measures nine healthy recipients beside one that is down past its retry duration, and without it. What the dead one is owed
// expires while the others get theirs, and each of its events must have a final record in the end.
func (b *bench) expiry() []row {
	const healthy = 9
	events := b.events / 5
	rate := func(dead bool) (out float64) {
		b.scope(func() {
			s := newSite(b)
			h, a := b.system(s, "interval", healthy)
			const warm = 500
			id := ""
			if dead {
				id = h.AddRecipient(b, harness.Object{"displayName": "dead", "eventTypes": []string{eventType}, "http": harness.Object{
					"url": "http://127.0.0.1:9/", "retryInterval": "0.25s", "retryDuration": "0.5s",
				}})
			}
			b.publish(a, 0, warm, publishers)
			s.await(warm*healthy, time.Minute)
			s.reset(false)
			began := b.publish(a, warm, warm+events, publishers)
			st := s.await(events*healthy, 3*time.Minute)
			out = float64(events) / time.Unix(0, st.Last).Sub(began).Seconds()
			if dead {
				b.expired(h, id, warm+events)
			}
		})
		return out
	}
	var without, with []float64
	for range expiryRuns {
		without = append(without, rate(false))
		with = append(with, rate(true))
	}
	b.Logf("each without: %.0f, with: %.0f", without, with)
	slices.Sort(without)
	slices.Sort(with)
	least, most := without[expiryRuns/2], with[expiryRuns/2]
	return []row{{"isolation, 1 of 10 down past its retry duration", fmt.Sprintf("%.0f/s each", most),
		fmt.Sprintf("%.0f/s each without it", least), fmt.Sprintf("%.2f", most/least), "≥ 0.95"}}
}

// expired waits until all that a recipient is owed has expired, and checks that each event has one final record.
func (b *bench) expired(h *harness.System, id string, events int) {
	harness.Until(b, 3*time.Minute, "the dead recipient's events to expire", func() error {
		if states := h.REST.States(b, id); states["EXPIRED"] != events || len(states) != 1 {
			return fmt.Errorf("of %d events %v", events, states)
		}
		return nil
	})
}
