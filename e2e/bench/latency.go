package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/outbound-events/outbound/e2e/harness"
)

// pacedTime is how long a latency row sends.
const pacedTime = 10 * time.Second

// latency measures the time from publish to arrival at a steady pace.
func (b *bench) latency() []row {
	var rows []row
	for _, c := range []struct {
		sync  string
		paced int
		by    way
	}{
		{"always", 500, way{}}, {"always", 1000, way{}}, {"always", 500, way{post: true}}, {"always", 1000, way{post: true}},
		{"interval", 1000, way{}},
	} {
		b.scope(func() {
			s := newSite(b)
			h, a := b.system(s, c.sync, 1)
			l := newLoop(b, s, 1)
			body, n := formOf(0), int(pacedTime/time.Second)*c.paced
			b.hand(parcels(a, c.by, 0, 500), 16)
			s.await(500, time.Minute)
			bare := b.pace(s, c.paced, func(n int) (string, error) { id := fmt.Sprint("bare-", n); return id, l.post(0, id, body) })
			used := b.use(h)
			ours := b.pace(s, c.paced, func(n int) (string, error) {
				return fmt.Sprintf("%s~e-%08d", appliance, 10_000+n), c.by.parcel(a, 10_000+n).request()
			})
			rows = append(rows, row{
				fmt.Sprintf("latency at %d events/s, sync %s, %s", c.paced, c.sync, c.by),
				"p50 " + ms(ours, 50) + ", p99 " + ms(ours, 99) + ", " + used.each(n, n),
				"p50 " + ms(bare, 50) + ", p99 " + ms(bare, 99), fmt.Sprintf("p50 %.1f", float64(at(ours, 50))/float64(at(bare, 50))),
				"p99 ≤ 10 ms where the baseline's is ≤ 1 ms",
			})
		})
	}
	return rows
}

// pace calls send at a steady pace, so many a second, each on its own, and returns the sorted times from the call to the arrival.
func (b *bench) pace(s *site, perSecond int, send func(n int) (string, error)) []time.Duration {
	s.reset(true)
	n := int(pacedTime/time.Second) * perSecond
	ids, sent := make([]string, n), make([]int64, n)
	evenly(n, perSecond, func(k int) {
		sent[k] = time.Now().UnixNano()
		id, err := send(k)
		if err != nil {
			b.Errorf("send %d: %v", k, err)
		}
		ids[k] = id
	})
	st := s.await(n, time.Minute)
	out := make([]time.Duration, 0, n)
	for i := range n {
		at, ok := st.Arrived[ids[i]]
		if !ok {
			b.Fatalf("%s never arrived", ids[i])
		}
		out = append(out, time.Duration(at-sent[i]))
	}
	slices.Sort(out)
	return out
}

// evenly calls do for 0 to n-1 at a steady pace, each in a goroutine of its own, and waits for them.
func evenly(n, perSecond int, do func(k int)) {
	var wg sync.WaitGroup
	tick := time.NewTicker(time.Second / time.Duration(perSecond))
	defer tick.Stop()
	began := time.Now()
	for i := 0; i < n; {
		<-tick.C
		// A late tick is made up for, so that the pace holds.
		for due := int(time.Since(began) * time.Duration(perSecond) / time.Second); i < min(due, n); i++ {
			k := i
			wg.Go(func() { do(k) })
		}
	}
	wg.Wait()
}

func at(sorted []time.Duration, percent int) time.Duration {
	return sorted[min(len(sorted)-1, len(sorted)*percent/100)]
}

func ms(sorted []time.Duration, percent int) string {
	return fmt.Sprintf("%.2f ms", float64(at(sorted, percent).Microseconds())/1000)
}

// start measures from the start of the process to the arrival of an event that was published to it, on a data folder that has
// a recipient and an appliance already.
func (b *bench) start() []row {
	var took []time.Duration
	s := newSite(b)
	h, _ := b.system(s, "always", 1)
	a := h.AddAppliance(b, "start")
	h.Stop(b)
	for i := range 5 {
		s.reset(false)
		began := time.Now()
		done := make(chan error, 1)
		go func() { done <- knock(a, fmt.Sprint("start-", i)) }()
		h.StartAll(b)
		if err := <-done; err != nil {
			b.Fatalf("publish to the starting process: %v", err)
		}
		took = append(took, time.Unix(0, s.await(1, time.Minute).Last).Sub(began))
		h.Stop(b)
	}
	slices.Sort(took)
	b.Logf("starts on %s: %v", filepath.Base(h.Dir), took)
	return []row{{"start → first delivery, all-in-one",
		fmt.Sprintf("%d ms (of 5: %d to %d)", took[2].Milliseconds(), took[0].Milliseconds(), took[4].Milliseconds()), "", "", "≤ 1 s"}}
}

// knock publishes an event again and again until it is accepted.
func knock(a *harness.Appliance, id string) error {
	e := harness.NewEvent(a.ID, id, eventType, harness.Object{})
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		one, stop := context.WithTimeout(ctx, 100*time.Millisecond)
		_, err := a.Publish(one, e)
		stop()
		if err == nil || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(5 * time.Millisecond):
		}
	}
}
