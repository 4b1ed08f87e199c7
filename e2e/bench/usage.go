package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/outbound-events/outbound/e2e/harness"
)

// sampled is how often memory is looked at for the most of it.
const sampled = 100 * time.Millisecond

// memory is what all processes of a system hold together, in bytes.
func memory(h *harness.System) (sum int) {
	for _, name := range h.Parts() {
		sum += h.Memory(name)
	}
	return sum
}

// processor is what each process of a system has used.
type processor map[string]time.Duration

func processorOf(h *harness.System) processor {
	p := processor{}
	for _, name := range h.Parts() {
		p[name] = h.CPU(name)
	}
	return p
}

// since is what each has used since then. One that did not run then had used nothing.
func (p processor) since(then processor) processor {
	out := processor{}
	for name, d := range p {
		out[name] = d - then[name]
	}
	return out
}

func (p processor) sum() (sum time.Duration) {
	for _, d := range p {
		sum += d
	}
	return sum
}

// each shares it out over deliveries, in words.
func (p processor) each(deliveries int) string {
	out := fmt.Sprintf("CPU of the system %.0f µs a delivery", micros(p.sum(), deliveries))
	if len(p) == 1 {
		return out
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(p)) {
		parts = append(parts, fmt.Sprintf("%s %.0f", name, micros(p[name], deliveries)))
	}
	return out + " (" + strings.Join(parts, ", ") + ")"
}

// most watches the memory of a system until the function it returns is called, which tells the most there was.
func most(h *harness.System) func() int {
	stop, done := make(chan struct{}), make(chan int)
	go func() {
		tick := time.NewTicker(sampled)
		defer tick.Stop()
		n := memory(h)
		for {
			select {
			case <-tick.C:
				n = max(n, memory(h))
			case <-stop:
				done <- max(n, memory(h))
				return
			}
		}
	}()
	return func() int {
		close(stop)
		return <-done
	}
}

// rest lets a time pass.
func rest(d time.Duration) { <-time.After(d) }

// metric asks the all-in-one for one of its metrics that has no labels.
func (b *bench) metric(h *harness.System, name string) float64 {
	x, ok := b.findMetric(h, name)
	if !ok {
		b.Fatalf("read the metrics: there is no %s", name)
	}
	return x
}

// findMetric is metric that may not be there.
func (b *bench) findMetric(h *harness.System, name string) (float64, bool) {
	r := b.visit(http.MethodGet, h.REST.Base+"/metrics", nil, nil)
	body, err := io.ReadAll(r.Body)
	_ = r.Body.Close()
	if err != nil {
		b.Fatalf("read the metrics: %v", err)
	}
	for line := range strings.Lines(string(body)) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			x, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				b.Fatalf("read the metric %s: %v", name, err)
			}
			return x, true
		}
	}
	return 0, false
}

// consumers are how many durable consumers the all-in-one's broker keeps for EVENTS, a folder each.
func (b *bench) consumers(h *harness.System) int {
	dirs, err := filepath.Glob(filepath.Join(h.Dir, "data", "broker", "jetstream", "*", "streams", "EVENTS", "obs", "*"))
	if err != nil {
		b.Fatalf("look for the consumers: %v", err)
	}
	return len(dirs)
}

// condition is what the bench reads of /v1/status. Numbers of 64 bits are text in JSON.
type condition struct {
	Recipients []struct {
		QueuedEvents int `json:"queuedEvents,string"`
	} `json:"recipients"`
	Streams []struct {
		Name         string `json:"name"`
		LastSequence int    `json:"lastSequence,string"`
	} `json:"streams"`
}

// condition asks how the system is; of one recipient or, with an empty id, of all.
func (b *bench) condition(h *harness.System, id string) condition {
	var c condition
	path := "/v1/status?" + url.Values{"recipient_id": {id}}.Encode()
	answer, err := h.REST.Call(http.MethodGet, path, nil)
	if err == nil && answer.Status != http.StatusOK {
		err = fmt.Errorf("%d %s", answer.Status, answer.Body)
	}
	if err == nil {
		err = json.Unmarshal(answer.Body, &c)
	}
	if err != nil {
		b.Fatalf("get %s: %v", path, err)
	}
	if len(c.Recipients) == 0 || len(c.Streams) == 0 {
		b.Fatalf("get %s: it tells of no recipient or of no stream", path)
	}
	return c
}

// queued waits until n events are in the queues of a recipient, or of all.
func (b *bench) queued(h *harness.System, id string, n int) {
	harness.Until(b, time.Minute, fmt.Sprint(n, " events in the queue"), func() error {
		sum := 0
		for _, r := range b.condition(h, id).Recipients {
			sum += r.QueuedEvents
		}
		if sum != n {
			return fmt.Errorf("there are %d", sum)
		}
		return nil
	})
}

// recorded waits until HISTORY has been given n records in all, those it holds no longer included, and no more.
func (b *bench) recorded(h *harness.System, n int) {
	harness.Until(b, time.Minute, fmt.Sprint(n, " records in HISTORY"), func() error {
		for _, s := range b.condition(h, "").Streams {
			if s.Name == "HISTORY" && s.LastSequence == n {
				return nil
			} else if s.Name == "HISTORY" {
				return fmt.Errorf("there are %d", s.LastSequence)
			}
		}
		return fmt.Errorf("the status tells of no HISTORY")
	})
}

// once checks that each recipient named got as many events as it should, each once, and that nobody else got any. The queues must
// be empty by now, so that no repeat comes later.
func (b *bench) once(s *site, want map[string]int) state {
	b.Helper()
	st := s.state()
	for name, n := range want {
		if st.Counts[name] != n {
			b.Errorf("recipient %s got %d events, want %d", name, st.Counts[name], n)
		}
	}
	if len(st.Counts) != len(want) {
		b.Errorf("%d recipients got events, want %d", len(st.Counts), len(want))
	}
	if st.Repeats != 0 {
		b.Errorf("%d deliveries came more than once", st.Repeats)
	}
	return st
}

// equally is n events to each of so many recipients, by the names of their paths.
func equally(recipients, n int) map[string]int {
	out := map[string]int{}
	for i := range recipients {
		out[strconv.Itoa(i)] = n
	}
	return out
}
