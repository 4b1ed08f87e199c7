package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/outbound-events/outbound/e2e/harness"
)

const (
	// scaleMost is how many recipients the scale row can have: each wants one type of one appliance.
	scaleMost = 5000
	// scaleAppliances is how many appliances there are at every size up to 1,000, so that only the recipients differ. Above that each has
	// as many recipients as with 1,000.
	scaleAppliances = 100
	// scaleRate is how many events a second are published at the steady pace.
	scaleRate = 200
	// settling is how long the system is left alone before it counts as idle.
	settling = 5 * time.Second
)

// size is what the system used with a number of recipients.
type size struct {
	recipients, consumers, goroutines int
	idle, steady, full                usage
	// collects is how many bytes the idle system's heap grows to before garbage is collected.
	collects int
	// rate is deliveries per second at full speed.
	rate float64
}

// usage is memory in bytes, processor time per second, and processor time per delivery.
type usage struct {
	memory      int
	cores       float64
	perDelivery float64
}

// scale measures what the system uses with few and many recipients: idle, at a steady pace and at full speed. Each event is wanted
// by one recipient, so that the work is the same at each size.
func (b *bench) scale() []row {
	var sizes []size
	for _, n := range b.sizes {
		b.scope(func() { sizes = append(sizes, b.size(n)) })
	}
	b.plotSizes(sizes)
	const grows = "growth shown"
	var idle, steady, full []row
	first := sizes[0]
	for _, x := range sizes {
		idle = append(idle, row{
			fmt.Sprintf("scale, %d recipient(s), idle", x.recipients),
			fmt.Sprintf("%s (heap collected at %s), %.3f cores, %d consumer(s), %d goroutines", mib(x.idle.memory), mib(x.collects),
				x.idle.cores, x.consumers, x.goroutines), "",
			growth(first.idle, x.idle, func(u usage) float64 { return u.cores }), grows,
		})
		steady = append(steady, row{
			fmt.Sprintf("scale, %d recipient(s), %d events/s", x.recipients, scaleRate),
			fmt.Sprintf("%s, %.3f cores, %.0f µs a delivery", mib(x.steady.memory), x.steady.cores, x.steady.perDelivery), "",
			growth(first.steady, x.steady, func(u usage) float64 { return u.perDelivery }), grows,
		})
		full = append(full, row{
			fmt.Sprintf("scale, %d recipient(s), full speed", x.recipients),
			fmt.Sprintf("%s, %.0f/s, %.0f µs a delivery", mib(x.full.memory), x.rate, x.full.perDelivery), "",
			growth(first.full, x.full, func(u usage) float64 { return u.perDelivery }), grows,
		})
	}
	return slices.Concat(idle, steady, full)
}

func mib(bytes int) string { return fmt.Sprintf("%d MiB", bytes>>20) }

// growth is how many times the memory and the processor time of the first size another has.
func growth(first, x usage, cpu func(usage) float64) string {
	return fmt.Sprintf("memory %s, CPU %s", times(float64(x.memory), float64(first.memory)), times(cpu(x), cpu(first)))
}

// times is a ratio in words; there is none to what was too little to be measured.
func times(x, of float64) string {
	if of <= 0 {
		return "unknown"
	}
	return fmt.Sprintf("%.1f ×", x/of)
}

// crowd is a system with many recipients.
type crowd struct {
	b          *bench
	s          *site
	h          *harness.System
	from       []*harness.Appliance
	recipients int
	// published is how many events were.
	published int
}

// newCrowd starts a system with a number of recipients, of which each wants one type of event of one appliance.
func newCrowd(b *bench, shape harness.Shape, recipients int) *crowd {
	c := &crowd{b: b, s: newSite(b), h: harness.StartIn(b, shape, b.TempDir(), "always"), recipients: recipients}
	for i := range max(scaleAppliances, recipients*scaleAppliances/1000) {
		c.from = append(c.from, c.h.AddAppliance(b, fmt.Sprint("site-", i)))
	}
	b.recipients(c.h, recipients, func(i int) harness.Object {
		from, eventType := c.wanted(i)
		return harness.Object{
			"displayName": fmt.Sprintf("Number %04d", i), "eventTypes": []string{eventType}, "appliances": []string{from.ID},
			"http": harness.Object{"url": c.s.url(i)},
		}
	})
	return c
}

// wanted is whose events of which type a recipient wants.
func (c *crowd) wanted(recipient int) (*harness.Appliance, string) {
	types := loadedTypes()
	return c.from[recipient/len(types)], types[recipient%len(types)]
}

// serve publishes events for each recipient, one after the other in turn, and waits until they are delivered, each once.
func (c *crowd) serve(perRecipient int, hand func(parcels []parcel) time.Time) (u usage, rate float64) {
	var parcels []parcel
	for range perRecipient {
		for i := range c.recipients {
			from, eventType := c.wanted(i)
			parcels = append(parcels, parcel{from: from, eventType: eventType, event: wireFrom(from.ID, eventType, c.published)})
			c.published++
		}
	}
	c.s.watch()
	top, before := most(c.h), processorOf(c.h)
	began := hand(parcels)
	last := time.Unix(0, c.s.await(len(parcels), 3*time.Minute).Last)
	took := last.Sub(began)
	used := processorOf(c.h).since(before).sum()
	u = usage{memory: top(), cores: used.Seconds() / took.Seconds(), perDelivery: micros(used, len(parcels))}
	c.b.queued(c.h, "", 0)
	c.b.once(c.s, equally(c.recipients, perRecipient))
	c.b.recorded(c.h, 2*c.published)
	return u, float64(len(parcels)) / took.Seconds()
}

// fast publishes as fast as it can.
func (c *crowd) fast(parcels []parcel) time.Time { return c.b.hand(parcels, publishers) }

// steadily publishes at a steady pace.
func (c *crowd) steadily(parcels []parcel) time.Time {
	began := time.Now()
	evenly(len(parcels), scaleRate, func(k int) {
		if err := parcels[k].request(); err != nil {
			c.b.Errorf("publish at a steady pace: %v", err)
		}
	})
	return began
}

// idle is what the system uses when nothing happens.
func (c *crowd) idle() usage {
	rest(settling)
	before := processorOf(c.h)
	rest(c.b.window)
	return usage{memory: memory(c.h), cores: processorOf(c.h).since(before).sum().Seconds() / c.b.window.Seconds()}
}

// size measures one number of recipients, in a system of its own.
func (b *bench) size(recipients int) size {
	c := newCrowd(b, harness.AllInOne, recipients)
	x := size{recipients: recipients, consumers: b.consumers(c.h)}
	if x.consumers != recipients {
		b.Errorf("%d consumers are there, want one for each of %d recipients", x.consumers, recipients)
	}
	// The first delivery to each recipient opens its connection, as those of a system that has run for a while are.
	c.serve(1, c.fast)
	x.idle = c.idle()
	x.goroutines, x.collects = int(b.metric(c.h, "go_goroutines")), int(b.metric(c.h, "go_memstats_next_gc_bytes"))
	b.Logf("%d recipient(s), idle: %s (heap collected at %s), %.3f cores, %d goroutines", recipients, mib(x.idle.memory), mib(x.collects),
		x.idle.cores, x.goroutines)
	x.steady, _ = c.serve(max(1, int(b.window.Seconds()*scaleRate)/recipients), c.steadily)
	b.Logf("%d recipient(s), %d events/s: %s, %.3f cores, %.0f µs a delivery", recipients, scaleRate, mib(x.steady.memory), x.steady.cores,
		x.steady.perDelivery)
	x.full, x.rate = c.serve(max(1, b.events/recipients), c.fast)
	b.Logf("%d recipient(s), full speed: %s, %.0f/s, %.0f µs a delivery", recipients, mib(x.full.memory), x.rate, x.full.perDelivery)
	return x
}
