package main

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/outbound-events/outbound/e2e/harness"
)

// publishers is how many requests an appliance has under way at once.
const publishers = 256

// noteSize fills an event so that its form has bodySize bytes; newLoop checks it.
const noteSize = 883

// wire is the n-th event as the appliance sends it.
func wire(n int) []byte { return wireFrom(appliance, eventType, n) }

// wireFrom is the n-th event as an appliance sends it.
func wireFrom(appliance, eventType string, n int) []byte {
	return fmt.Appendf(nil, `{"specversion":"1.0","id":"e-%08d","source":%q,"type":%q,"time":%q,"subject":"4d3f6a1b9c8e7d2f4d3f6a1b9c8e7d2f",`+
		`"datacontenttype":"application/json","data":{"external_key":"INC-1","note":%q}}`,
		n, appliance, eventType, time.Now().UTC().Format(time.RFC3339), strings.Repeat("x", noteSize))
}

// system starts the all-in-one with recipients on the site, and an appliance.
func (b *bench) system(s *site, sync string, recipients int) (*harness.System, *harness.Appliance) {
	h := b.unlimited(sync)
	for i := range recipients {
		b.recipient(h, fmt.Sprint("bench-", i), s.url(i))
	}
	return h, h.AddAppliance(b, appliance)
}

// unlimited is a system whose appliances may publish as much as they can.
func (b *bench) unlimited(sync string) *harness.System {
	return harness.StartWith(b, &harness.System{Shape: harness.AllInOne, Dir: b.TempDir(), Sync: sync, Senders: 2,
		Env: []string{"OUTBOUND_INGEST_EVENTS_PER_SECOND=0", "OUTBOUND_INGEST_BYTES_PER_SECOND=0"}})
}

func (b *bench) recipient(h *harness.System, name, url string) {
	h.AddRecipient(b, harness.Object{"displayName": name, "eventTypes": []string{eventType}, "http": harness.Object{"url": url}})
}

// publish hands in events first to last-1 over NATS from many publishers and returns when the first request was sent.
func (b *bench) publish(a *harness.Appliance, first, last, publishers int) time.Time {
	return b.hand(parcels(a, way{}, first, last), publishers)
}

// parcels are events first to last-1. They are written beforehand: that is the appliance's work, on a machine of its own.
func parcels(a *harness.Appliance, by way, first, last int) []parcel {
	out := make([]parcel, last-first)
	for i := range out {
		out[i] = by.parcel(a, first+i)
	}
	return out
}

// hand hands in parcels from many publishers and returns when the first request was sent.
func (b *bench) hand(parcels []parcel, publishers int) time.Time {
	var next atomic.Int64
	var wg sync.WaitGroup
	began := time.Now()
	for range publishers {
		wg.Go(func() {
			for n := next.Add(1) - 1; n < int64(len(parcels)); n = next.Add(1) - 1 {
				if err := parcels[n].request(); err != nil {
					b.Errorf("publish %.120s…: %v", parcels[n].event, err)
					return
				}
			}
		})
	}
	wg.Wait()
	return began
}

// delivery measures deliveries per second from the first publish to the last arrival.
func (b *bench) delivery() []row {
	var rows []row
	for _, c := range []struct {
		sync       string
		recipients int
		by         way
		reach      float64
	}{
		{"always", 1, way{}, 0.35}, {"always", 10, way{}, 0.55}, {"always", 1, way{post: true}, 0.25}, {"always", 1, way{undated: true}, 0.33},
		{"interval", 1, way{}, 0.40}, {"interval", 10, way{}, 0.50},
	} {
		var runs []figures
		for range b.repeats {
			b.scope(func() { runs = append(runs, b.deliveries(c.sync, c.recipients, c.by)) })
		}
		slices.SortFunc(runs, func(x, y figures) int { return int(1e6 * (x.ratio() - y.ratio())) })
		m := runs[len(runs)/2]
		rows = append(rows, row{
			fmt.Sprintf("delivery, sync %s, %d recipient(s), %s", c.sync, c.recipients, c.by), fmt.Sprintf("%.0f/s, %s", m.rate, m.each),
			fmt.Sprintf("%.0f/s", m.bare), fmt.Sprintf("%.2f", m.ratio()), fmt.Sprintf("≥ %.2f", c.reach),
		})
	}
	return rows
}

// figures are a rate and the baseline's beside it, and what a delivery took of the system.
type figures struct {
	rate, bare float64
	each       string
}

func (f figures) ratio() float64 { return f.rate / f.bare }

func (b *bench) deliveries(sync string, recipients int, by way) figures {
	s := newSite(b)
	events := b.events
	if recipients > 1 {
		events = b.events / 5
	}
	h, a := b.system(s, sync, recipients)
	l := newLoop(b, s, recipients)
	const warm = 500
	b.hand(parcels(a, by, 0, warm), publishers)
	s.await(warm*recipients, time.Minute)
	s.reset(false)
	before := l.rate(b.bare)
	s.reset(false)
	written := parcels(a, by, warm, warm+events)
	own, used := ownCPU(), b.use(h)
	began := b.hand(written, publishers)
	published := time.Since(began)
	mine := ownCPU() - own
	st := s.await(events*recipients, 3*time.Minute)
	took := time.Unix(0, st.Last).Sub(began)
	each := used.each(events*recipients, events)
	for i := range recipients {
		if n := st.Counts[fmt.Sprint(i)]; n != events {
			b.Errorf("recipient %d got %d of %d events", i, n, events)
		}
	}
	s.reset(false)
	after := l.rate(b.bare)
	f := figures{rate: float64(events*recipients) / took.Seconds(), bare: (before + after) / 2, each: each}
	b.Logf("sync %s, %d recipient(s), %s: %.0f/s, bare %.0f/s and %.0f/s; published %.0f/s; %s; publishing took %.0f µs CPU an event",
		sync, recipients, by, f.rate, before, after, float64(events)/published.Seconds(), each, micros(mine, events))
	return f
}

// isolation measures healthy recipients beside sick ones.
func (b *bench) isolation() []row {
	const recipients = 10
	rate := func(sick bool) (out float64) {
		b.scope(func() {
			s := newSite(b)
			h, a := b.system(s, "interval", recipients-2)
			if sick {
				b.recipient(h, "hanging", s.base+"/hang")
				b.recipient(h, "dead", "http://127.0.0.1:9/")
			} else {
				b.recipient(h, "ninth", s.url(recipients-2))
				b.recipient(h, "tenth", s.url(recipients-1))
			}
			events, want := b.events/5, recipients
			if sick {
				want -= 2
			}
			began := b.publish(a, 0, events, publishers)
			st := s.await(events*want, 3*time.Minute)
			// Counted per healthy recipient: with two fewer to serve, the others must not be slower.
			out = float64(events) / time.Unix(0, st.Last).Sub(began).Seconds()
		})
		return out
	}
	without, with := rate(false), rate(true)
	return []row{{"isolation, 1 of 10 hanging and 1 dead", fmt.Sprintf("%.0f/s each", with), fmt.Sprintf("%.0f/s each without", without),
		fmt.Sprintf("%.2f", with/without), "≥ 0.95"}}
}
