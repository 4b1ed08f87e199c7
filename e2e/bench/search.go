package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/outbound-events/outbound/e2e/harness"
)

const (
	// searchRate is how many deliveries a second go on while the log is searched.
	searchRate = 500
	// searchRounds is how often each search is made, each time for another value.
	searchRounds = 100
)

// logRead is what the system says once it has read what the log can be searched by.
const logRead = "delivery log read"

// search is one question, made anew for each round.
type search struct {
	what string
	path func(round int) string
	// least is how many answers there must be, so that nothing is measured that finds nothing.
	least int
	reach time.Duration
	cold  time.Duration
	took  []time.Duration
}

// search measures the first page of each filter over a log of a million records, while deliveries go on.
func (b *bench) search() []row {
	s := newSite(b)
	h := harness.StartWith(b, &harness.System{
		Shape: harness.AllInOne, Dir: b.TempDir(), Sync: "always",
		Env: []string{fmt.Sprint("OUTBOUND_STREAMS_HISTORY_MAX_RECORDS=", 4*b.records), fmt.Sprint("OUTBOUND_STREAMS_HISTORY_MAX_BYTES=", 8<<30)},
	})
	var ids []string
	for i := range 50 {
		ids = append(ids, h.AddRecipient(b, harness.Object{
			"displayName": fmt.Sprint("loaded ", i), "eventTypes": loadedTypes()[i%len(loadedTypes()) : i%len(loadedTypes())+1],
			"http": harness.Object{"url": s.url(i)},
		}))
	}
	var senders []*harness.Appliance
	for i := range appliances {
		senders = append(senders, h.AddAppliance(b, loadedAppliance(i)))
	}
	h.Stop(b)
	l := b.load(h, ids, b.records)
	read := strings.Count(h.Logs(), logRead)
	began := time.Now()
	h.StartAll(b)
	b.Logf("started again, %d MiB in memory", h.Memory(harness.One)>>20)
	searches := l.searches()
	for _, x := range searches {
		x.cold = b.ask(h, x, -1)
	}
	b.Logf("each search made once, %d MiB in memory", h.Memory(harness.One)>>20)
	harness.Until(b, time.Minute, "the system to have read the log", func() error {
		if strings.Count(h.Logs(), logRead) == read {
			return errors.New("it has not")
		}
		return nil
	})
	b.Logf("the log was read within %s of the start", time.Since(began).Round(time.Second/10))
	live := b.live(senders)
	for round := range searchRounds {
		for _, x := range searches {
			took := b.ask(h, x, round)
			// The first round warms up.
			if round > 0 {
				x.took = append(x.took, took)
			}
		}
	}
	sent, took := live()
	s.await(sent*perEvent, time.Minute)
	rate := float64(sent*perEvent) / took.Seconds()
	b.Logf("%d deliveries went on at %.0f/s meanwhile; %d MiB in memory", sent*perEvent, rate, h.Memory(harness.One)>>20)
	rows := []row{{
		fmt.Sprintf("search, %d records, beside %.0f deliveries/s: memory of the system", b.records, rate),
		fmt.Sprintf("%d MiB", h.Memory(harness.One)>>20), "", "", "",
	}}
	for _, x := range searches {
		slices.Sort(x.took)
		rows = append(rows, row{
			"search: " + x.what, fmt.Sprintf("p50 %s, p99 %s", ms(x.took, 50), ms(x.took, 99)),
			fmt.Sprintf("cold %s", ms([]time.Duration{x.cold}, 50)), "", fmt.Sprintf("≤ %d ms", x.reach.Milliseconds()),
		})
	}
	return rows
}

// ask makes one search and returns how long it took.
func (b *bench) ask(h *harness.System, x *search, round int) time.Duration {
	path := x.path(round + 1)
	began := time.Now()
	answer, err := h.REST.Call(http.MethodGet, path, nil)
	took := time.Since(began)
	if err != nil || answer.Status != http.StatusOK {
		b.Fatalf("search %s: %v %d %s", path, err, answer.Status, answer.Body)
	}
	var page struct {
		Deliveries, Events []json.RawMessage
		NextPageToken      string
	}
	if err := json.Unmarshal(answer.Body, &page); err != nil {
		b.Fatalf("search %s: %v", path, err)
	}
	// Before the system has read its log, it may say that it has not looked at all of it.
	if n := len(page.Deliveries) + len(page.Events); n < x.least && (round >= 0 || page.NextPageToken == "") {
		b.Errorf("search %s found %d, want %d at least", path, n, x.least)
	}
	return took
}

// live publishes events, each for perEvent recipients, so that searchRate deliveries a second are made, until the function it
// returns is called, which tells how many events and for how long.
func (b *bench) live(from []*harness.Appliance) func() (int, time.Duration) {
	stop := make(chan struct{})
	var sent atomic.Int64
	var wg sync.WaitGroup
	began := time.Now()
	wg.Go(func() {
		tick := time.NewTicker(time.Second * perEvent / searchRate)
		defer tick.Stop()
		var requests sync.WaitGroup
		defer requests.Wait()
		for i := 0; ; {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			for due := int(time.Since(began) * searchRate / perEvent / time.Second); i < due; i++ {
				n := i
				requests.Go(func() {
					ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
					defer cancel()
					e := harness.NewEvent(loadedAppliance(n), fmt.Sprint("live-", n), loadedTypes()[n%len(loadedTypes())],
						harness.Object{"external_key": fmt.Sprint("LIVE-", n/perKey)})
					if _, err := from[n%len(from)].Publish(ctx, e); err != nil {
						b.Errorf("publish beside the searches: %v", err)
						return
					}
					sent.Add(1)
				})
			}
		}
	})
	return func() (int, time.Duration) {
		close(stop)
		wg.Wait()
		return int(sent.Load()), time.Since(began)
	}
}

// searches are one for each filter and some that people make often. n spreads the values over the whole log.
func (l *loader) searches() []*search {
	const page = 50
	spread := func(round int) int { return (round*7919*13 + 4) % l.events }
	list := func(what string, least int, query func(n int) url.Values) *search {
		return &search{what: what, least: least, reach: 100 * time.Millisecond, path: func(round int) string {
			return "/v1/deliveries?" + query(spread(round)).Encode()
		}}
	}
	events := func(what string, query func(n int) url.Values) *search {
		x := list(what, page, query)
		x.path = func(round int) string { return "/v1/events?" + query(spread(round)).Encode() }
		return x
	}
	one := func(key string, value func(n int) string) func(int) url.Values {
		return func(n int) url.Values { return url.Values{key: {value(n)}} }
	}
	fixed := func(pairs ...string) func(int) url.Values {
		return func(int) url.Values {
			v := url.Values{}
			for i := 0; i < len(pairs); i += 2 {
				v.Set(pairs[i], pairs[i+1])
			}
			return v
		}
	}
	middle := l.middle.UTC().Format(time.RFC3339Nano)
	out := []*search{
		list("no filter", page, fixed()),
		list("recipient", page, one("recipient_id", func(n int) string { return l.recipients[n%len(l.recipients)] })),
		list("recipient, state", page, func(n int) url.Values {
			return url.Values{"recipient_id": {l.recipients[n%len(l.recipients)]}, "state": {"EXPIRED"}}
		}),
		list("channel http", page, fixed("channel", "http")),
		list("event type", page, one("event_type", func(n int) string { return loadedTypes()[n%len(loadedTypes())] })),
		list("appliance", page, one("appliance_id", loadedAppliance)),
		list("session", 1, one("session_id", loadedSession)),
		list("external key", 1, one("external_key", loadedKey)),
		list("channel email", page, fixed("channel", "email")),
		list("replay", 1, one("replay_id", func(n int) string { return loadedReplay(max(0, min(n, l.events-2*replayEvents))) })),
		list("time range in the middle", page, fixed("end_time", middle)),
		list("recipient, time range in the middle", page, func(n int) url.Values {
			return url.Values{"end_time": {middle}, "recipient_id": {l.recipients[n%len(l.recipients)]}}
		}),
		list("appliance, time range in the middle", page,
			func(n int) url.Values { return url.Values{"end_time": {middle}, "appliance_id": {loadedAppliance(n)}} }),
	}
	for _, state := range []string{"DELIVERED", "RETRYING", "EXPIRED", "REJECTED", "SKIPPED", "CANCELLED"} {
		out = append(out, list("state "+state, page, fixed("state", state)))
	}
	out = append(out, list("state WAITING", 0, fixed("state", "WAITING")))
	for _, class := range []string{"ok", "network", "tls", "timeout", "http_4xx", "http_5xx", "not_wanted", "expired", "cancelled"} {
		out = append(out, list("reason class "+class, 1, fixed("reason_class", class)))
	}
	byEvent := list("event", perEvent, one("event_id",
		func(n int) string { return loadedAppliance(accepted(n)) + "~" + loadedID(accepted(n)) }))
	byEvent.reach = 50 * time.Millisecond
	get := &search{what: "event with its deliveries", least: perEvent, reach: 50 * time.Millisecond, path: func(round int) string {
		n := accepted(spread(round))
		return "/v1/events/" + loadedAppliance(n) + "~" + loadedID(n)
	}}
	return append(out, byEvent, get,
		events("events", fixed()), events("events rejected", fixed("decision", "REJECTED")),
		events("events of an appliance", one("appliance_id", loadedAppliance)),
		events("events of a type", one("event_type", func(n int) string { return loadedTypes()[n%len(loadedTypes())] })),
	)
}

// accepted is an event near the n-th that was not refused.
func accepted(n int) int {
	if n%rejectEvery == rejectEvery-1 {
		return n - 1
	}
	return n
}
