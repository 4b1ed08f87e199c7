package main

import (
	"fmt"
	"net/http"
	"time"

	"github.com/outbound-events/outbound/e2e/harness"
)

// drainBatch is how many events of a backlog are written at once before they are handed in.
const drainBatch = 50_000

// dam is a system whose one recipient gets nothing until it is opened.
type dam struct {
	what string
	h    *harness.System
	id   string
	open func()
}

// drains measures how fast a backlog goes out once what held it is gone, in each of the ways in which one comes about.
func (b *bench) drains() []row {
	var rows []row
	for _, build := range []func(s *site) dam{b.held, b.refusing, b.away} {
		b.scope(func() {
			s := newSite(b)
			l := newLoop(b, s, 1)
			before := l.rate(b.bare)
			s.watch()
			rate, row := b.drain(s, build(s))
			s.reset(false)
			bare := (before + l.rate(b.bare)) / 2
			row.bare, row.ratio = fmt.Sprintf("%.0f/s", bare), fmt.Sprintf("%.2f", rate/bare)
			rows = append(rows, row)
		})
	}
	return rows
}

// held is a recipient that is disabled and whose events wait.
func (b *bench) held(s *site) dam {
	h := b.unlimited("always")
	id := h.AddRecipient(b, harness.Object{
		"displayName": "held", "enabled": false, "whileDisabled": "HOLD", "eventTypes": []string{eventType},
		"http": harness.Object{"url": s.url(0)},
	})
	return dam{"a recipient held, then enabled", h, id, func() {
		h.REST.Do(b, http.MethodPatch, "/v1/recipients/"+id, harness.Object{"enabled": true})
	}}
}

// refusing is a recipient that answers 503.
func (b *bench) refusing(s *site) dam {
	s.shut(true)
	h := b.unlimited("always")
	id := h.AddRecipient(b, harness.Object{
		"displayName": "refusing", "eventTypes": []string{eventType}, "http": harness.Object{"url": s.url(0), "retryInterval": "1s"},
	})
	return dam{"a recipient down, then up, retry interval 1 s", h, id, func() { s.shut(false) }}
}

// away is a healthy recipient while the only http-sender, a process of its own, is not there.
func (b *bench) away(s *site) dam {
	h := harness.StartWith(b, &harness.System{Shape: harness.Services, Dir: b.TempDir(), Sync: "always", Senders: 1})
	id := h.AddRecipient(b, harness.Object{"displayName": "healthy", "eventTypes": []string{eventType},
		"http": harness.Object{"url": s.url(0)}})
	h.Kill(b, sender(0))
	return dam{"the sender away, then started (services)", h, id, func() { h.StartPart(b, sender(0)) }}
}

// sender is the name of the process of an http-sender.
func sender(i int) string { return fmt.Sprint("http-sender-", i+1) }

// drain piles events up, lets them go and counts each. It returns deliveries per second from then to the last.
func (b *bench) drain(s *site, d dam) (float64, row) {
	a := d.h.AddAppliance(b, appliance)
	began := time.Now()
	for at := 0; at < b.backlog; at += drainBatch {
		b.publish(a, at, min(at+drainBatch, b.backlog), publishers)
	}
	b.queued(d.h, d.id, b.backlog)
	if n := s.state().Total; n != 0 {
		b.Errorf("%s: %d events were delivered while they should wait", d.what, n)
	}
	waiting := memory(d.h)
	b.Logf("%s: %d events waited after %s, %s in memory", d.what, b.backlog, time.Since(began).Round(time.Second), mib(waiting))
	top, before := most(d.h), processorOf(d.h)
	opened := time.Now()
	d.open()
	last := time.Unix(0, s.await(b.backlog, 3*time.Minute+time.Duration(b.backlog)*time.Millisecond).Last)
	peak, spent := top(), processorOf(d.h).since(before)
	b.queued(d.h, d.id, 0)
	st := b.once(s, equally(1, b.backlog))
	// A record for each event that came in and one for each attempt.
	b.recorded(d.h, 2*b.backlog+st.Refused)
	took := last.Sub(opened)
	rate := float64(b.backlog) / took.Seconds()
	b.Logf("%s: %.0f/s, %d attempts failed before; %s", d.what, rate, st.Refused, spent.each(b.backlog))
	return rate, row{
		what:     fmt.Sprintf("drain of %d events, %s", b.backlog, d.what),
		measured: fmt.Sprintf("%.0f/s, %s, %s at most (%s before)", rate, took.Round(100*time.Millisecond), mib(peak), mib(waiting)),
		reach:    "drained, each once",
	}
}
