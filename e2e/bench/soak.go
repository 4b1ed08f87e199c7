package main

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/outbound-events/outbound/e2e/harness"
)

const (
	// soakShare is the part of the maximum that a soak publishes at.
	soakShare = 0.7
	// soakSamples is how often a soak looks at the system, in equal steps.
	soakSamples = 90
	// soakGrowth is how much more of something the last third of a soak may use than the middle one; soakSlack is how much more is no
	// growth in any case, of goroutines and descriptors.
	soakGrowth, soakSlack = 1.1, 20
	// soakFills is how long a soak must be for its memory to be judged: HISTORY and its index fill up before.
	soakFills = 10 * time.Minute
)

// sample is what the system held at a moment of a soak.
type sample struct {
	at                              time.Duration
	memory, goroutines, descriptors int
}

// soak publishes at 70 % of the maximum for a long time and looks whether memory, goroutines and descriptors stay the same.
func (b *bench) soak() []row {
	s := newSite(b)
	h, a := b.system(s, "always", 1)
	b.hand(parcels(a, way{}, 0, 500), publishers)
	s.await(500, time.Minute)
	s.reset(false)
	began := b.hand(parcels(a, way{}, 500, 500+b.events), publishers)
	most := float64(b.events) / time.Unix(0, s.await(b.events, 3*time.Minute).Last).Sub(began).Seconds()
	rate := int(soakShare * most)
	n := int(b.soakTime.Seconds()) * rate
	b.Logf("the maximum is %.0f events/s: %d events follow at %d/s", most, n, rate)
	s.reset(false)
	stop := b.sampling(h)
	took := b.paced(a, 500+b.events, n, rate)
	samples := stop()
	s.await(n, 3*time.Minute)
	b.queued(h, "", 0)
	b.recorded(h, 2*(500+b.events+n))
	b.plotSoak(samples)
	what := fmt.Sprintf("soak, %s at %.0f events/s, %.0f %% of the maximum", took.Round(time.Second), float64(n)/took.Seconds(),
		100*float64(n)/took.Seconds()/most)
	return []row{
		b.flat(what, "memory, MiB", samples, b.soakTime >= soakFills, func(x sample) int { return x.memory >> 20 }),
		b.flat(what, "goroutines", samples, true, func(x sample) int { return x.goroutines }),
		b.flat(what, "descriptors", samples, true, func(x sample) int { return x.descriptors }),
	}
}

// paced hands in so many events at a steady pace, from no more than so many publishers, and returns how long it took: longer than the
// pace asks for if the system does not keep up.
func (b *bench) paced(a *harness.Appliance, first, n, perSecond int) time.Duration {
	var next atomic.Int64
	var wg sync.WaitGroup
	began := time.Now()
	for range publishers {
		wg.Go(func() {
			for k := next.Add(1) - 1; k < int64(n); k = next.Add(1) - 1 {
				rest(time.Until(began.Add(time.Duration(k) * time.Second / time.Duration(perSecond))))
				if err := b.insist((way{}).parcel(a, first+int(k))); err != nil {
					b.Errorf("publish event %d: %v", first+int(k), err)
					return
				}
			}
		})
	}
	wg.Wait()
	return time.Since(began)
}

// insist hands in an event until it is accepted, for a minute at most: a disk that is busy with other things may take nothing for a while.
func (b *bench) insist(p parcel) error {
	began := time.Now()
	for {
		err := p.request()
		if err == nil || time.Since(began) > time.Minute {
			return err
		}
		b.Logf("an event is sent again: %v", err)
		rest(time.Second)
	}
}

// sampling looks at the system in equal steps until the function it returns is called.
func (b *bench) sampling(h *harness.System) (stop func() []sample) {
	end, done := make(chan struct{}), make(chan []sample)
	go func() {
		var out []sample
		tick := time.NewTicker(max(time.Second, b.soakTime/soakSamples))
		defer tick.Stop()
		began := time.Now()
		for {
			select {
			case <-tick.C:
				goroutines, _ := b.findMetric(h, "go_goroutines")
				descriptors, _ := b.findMetric(h, "process_open_fds")
				out = append(out, sample{time.Since(began), memory(h), int(goroutines), int(descriptors)})
			case <-end:
				done <- out
				return
			}
		}
	}()
	return func() []sample {
		close(end)
		return <-done
	}
}

// flat compares the last third of a soak with the middle one. What has grown fails the run, if it is judged.
func (b *bench) flat(what, of string, samples []sample, judged bool, value func(sample) int) row {
	thirds := make([]int, 3)
	for i := range thirds {
		var values []int
		for _, x := range samples[i*len(samples)/3 : (i+1)*len(samples)/3] {
			values = append(values, value(x))
		}
		if len(values) == 0 {
			b.Fatalf("look at the system during a soak: %d samples are too few: use more minutes", len(samples))
		}
		slices.Sort(values)
		thirds[i] = values[len(values)/2]
	}
	grown := float64(thirds[2]) / float64(max(thirds[1], 1))
	reach := fmt.Sprintf("≤ %.1f", soakGrowth)
	if !judged {
		reach += " from 10 minutes on"
	}
	if judged && grown > soakGrowth && thirds[2]-thirds[1] > soakSlack {
		b.Errorf("%s grew from %d in the middle third to %d in the last", of, thirds[1], thirds[2])
	}
	measured := fmt.Sprintf("%d, %d, %d in its thirds", thirds[0], thirds[1], thirds[2])
	return row{what + ": " + of, measured, "", fmt.Sprintf("%.2f", grown), reach}
}
