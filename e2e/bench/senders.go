package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/outbound-events/outbound/e2e/harness"
)

// thinking is how long the slow recipient of the senders row takes to answer.
const thinking = 50 * time.Millisecond

// load is work for the senders: events of a type, wanted by some recipients.
type load struct {
	what, eventType   string
	first, recipients int
	events            int
	// query is added to the recipients' addresses.
	query string
}

// senders measures one, two and four http-senders, processes of their own, that share the same recipients.
func (b *bench) senders() []row {
	loads := []load{
		{what: "1 recipient", eventType: loadedTypes()[0], recipients: 1, events: b.events},
		{what: "10 recipients", eventType: loadedTypes()[1], first: 1, recipients: 10, events: b.events / 5},
		{what: fmt.Sprintf("1 recipient that takes %s to answer", thinking), eventType: loadedTypes()[2], first: 11, recipients: 1,
			events: b.events / 5, query: "?think=" + thinking.String()},
	}
	rows := make([][]row, len(loads))
	alone := map[int]float64{}
	for _, n := range []int{1, 2, 4} {
		b.scope(func() {
			c := newCompany(b, n, loads)
			for i, l := range loads {
				rate := c.carry(l)
				if n == 1 {
					alone[i] = rate
				}
				rows[i] = append(rows[i], row{
					what: fmt.Sprintf("senders, %d sharing %s", n, l.what), measured: fmt.Sprintf("%.0f/s", rate),
					ratio: fmt.Sprintf("%.2f × one", rate/alone[i]), reach: "growth shown",
				})
			}
		})
	}
	return slices.Concat(rows...)
}

// company is a system of several http-senders.
type company struct {
	b *bench
	s *site
	h *harness.System
	a *harness.Appliance
	// senders is how many there are, carried the deliveries so far, published the events so far.
	senders, carried, published int
}

func newCompany(b *bench, senders int, loads []load) *company {
	c := &company{b: b, s: newSite(b), senders: senders}
	c.h = harness.StartWith(b, &harness.System{Shape: harness.Services, Dir: b.TempDir(), Sync: "always", Senders: senders})
	for _, l := range loads {
		for i := range l.recipients {
			c.h.AddRecipient(b, harness.Object{
				"displayName": fmt.Sprint("number ", l.first+i), "eventTypes": []string{l.eventType},
				"http": harness.Object{"url": c.s.url(l.first+i) + l.query},
			})
		}
	}
	c.a = c.h.AddAppliance(b, appliance)
	return c
}

// carry publishes the events of a load and returns deliveries per second, from the first publish to the last arrival.
func (c *company) carry(l load) float64 {
	const warm = 500
	c.deliver(l, warm)
	before, own := processorOf(c.h), ownCPU()
	took := c.deliver(l, l.events)
	used, own := processorOf(c.h).since(before), ownCPU()-own
	n := l.events * l.recipients
	c.shared()
	rate := float64(n) / took.Seconds()
	c.b.Logf("%d sharing %s: %.0f/s; %s, of publishing %.0f µs an event; %s in memory", c.senders, l.what, rate, used.each(n),
		micros(own, l.events), mib(memory(c.h)))
	return rate
}

// shared checks by the senders' logs that each has made some of the attempts, and that together they made each once.
func (c *company) shared() {
	harness.Until(c.b, time.Minute, fmt.Sprint(c.carried, " attempts in the senders' logs"), func() error {
		counts, sum := make([]int, c.senders), 0
		for i := range counts {
			raw, err := os.ReadFile(filepath.Join(c.h.Dir, "logs", sender(i)+".log"))
			if err != nil {
				return err
			}
			counts[i] = bytes.Count(raw, []byte(`"delivery attempted"`))
			sum += counts[i]
		}
		if sum != c.carried || slices.Contains(counts, 0) {
			return fmt.Errorf("there are %v", counts)
		}
		return nil
	})
}

// deliver publishes a number of events of a load and waits until each recipient has got each once.
func (c *company) deliver(l load, events int) time.Duration {
	parcels := make([]parcel, events)
	for i := range parcels {
		parcels[i] = parcel{from: c.a, eventType: l.eventType, event: wireFrom(appliance, l.eventType, c.published+i)}
	}
	c.published += events
	c.carried += events * l.recipients
	want := map[string]int{}
	for i := range l.recipients {
		want[strconv.Itoa(l.first+i)] = events
	}
	c.s.watch()
	began := c.b.hand(parcels, publishers)
	last := time.Unix(0, c.s.await(events*l.recipients, 3*time.Minute).Last)
	c.b.queued(c.h, "", 0)
	c.b.once(c.s, want)
	c.b.recorded(c.h, c.published+c.carried)
	return last.Sub(began)
}
