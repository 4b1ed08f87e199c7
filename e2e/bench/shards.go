package main

import (
	"fmt"
	"sync"
	"time"

	"github.com/outbound-events/outbound/e2e/harness"
)

// shards measures the largest size of the scale row as one system, and as two of which each has half of the recipients and the appliances
// that they want events of. Both divide the processors of this machine, so the gain is in what an event costs.
func (b *bench) shards() []row {
	recipients := b.sizes[len(b.sizes)-1]
	var whole, halves shared
	b.scope(func() { whole = b.divided(recipients, 1) })
	b.scope(func() { halves = b.divided(recipients, 2) })
	return []row{{
		fmt.Sprintf("shards, %d recipients as two systems, full speed", recipients),
		fmt.Sprintf("%.0f/s, %.0f µs a delivery", halves.rate, halves.perDelivery),
		fmt.Sprintf("one system: %.0f/s, %.0f µs", whole.rate, whole.perDelivery),
		fmt.Sprintf("%.2f × the rate, %.2f of the CPU", halves.rate/whole.rate, halves.perDelivery/whole.perDelivery), "gain shown",
	}}
}

// shared is what systems beside each other reach together.
type shared struct{ rate, perDelivery float64 }

// divided publishes at full speed to recipients that are divided among systems.
func (b *bench) divided(recipients, systems int) (s shared) {
	var crowds []*crowd
	for range systems {
		crowds = append(crowds, newCrowd(b, harness.AllInOne, recipients/systems))
	}
	fast := func(parcels []parcel) time.Time { return b.hand(parcels, publishers/systems) }
	for _, c := range crowds {
		c.serve(1, fast) // opens the connections
	}
	perRecipient := max(1, b.events/recipients)
	used := make([]usage, systems)
	rates := make([]float64, systems)
	var beside sync.WaitGroup
	for i, c := range crowds {
		beside.Go(func() { used[i], rates[i] = c.serve(perRecipient, fast) })
	}
	beside.Wait()
	for i := range crowds {
		s.rate += rates[i]
		s.perDelivery += used[i].perDelivery / float64(systems)
	}
	b.Logf("%d recipients in %d system(s): %.0f/s, %.0f µs a delivery", recipients, systems, s.rate, s.perDelivery)
	return s
}
