package ingest_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/notice"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// flood publishes events of an appliance over NATS, 2,000 at once, until stop, which says how long each of them took. It returns when the
// first of them are answered.
func (h *fixture) flood(id string, next func(i int) []byte) (stop func() (each time.Duration)) {
	h.t.Helper()
	const atOnce = 2000
	nc := h.appliance(id)
	inbox := nc.NewInbox()
	var n atomic.Int64
	places := make(chan struct{}, atOnce)
	done, first := make(chan struct{}), make(chan struct{})
	sub, err := nc.Subscribe(inbox, func(*nats.Msg) {
		if n.Add(1) == atOnce {
			close(first)
		}
		<-places
	})
	must(h.t, err)
	var sending sync.WaitGroup
	sending.Go(func() {
		for i := 0; ; i++ {
			select {
			case places <- struct{}{}:
			case <-done:
				return
			}
			if err := nc.PublishRequest(bus.IngestSubjectOf(id, kind), inbox, next(i)); err != nil {
				return
			}
		}
	})
	<-first
	began, before := time.Now(), n.Load()
	var once sync.Once
	stop = func() (each time.Duration) {
		once.Do(func() {
			each = atOnce * time.Since(began) / time.Duration(max(1, n.Load()-before))
			close(done)
			sending.Wait()
			_ = sub.Unsubscribe()
			nc.Close()
		})
		return each
	}
	h.t.Cleanup(func() { stop() })
	return stop
}

// times are how long requests took, sorted.
type times []time.Duration

func (x times) at(part float64) time.Duration { return x[min(len(x)-1, int(float64(len(x))*part))] }

// timed publishes events one after the other, and says how long each took and how many were refused.
func (h *fixture) timed(nc *nats.Conn, id, prefix string, count int) (took times, refused int) {
	h.t.Helper()
	for i := range count {
		began := time.Now()
		r := h.request(nc, bus.IngestSubjectOf(id, kind), eventJSON(id, fmt.Sprint(prefix, i)))
		took = append(took, time.Since(began))
		if r.Header.Get(micro.ErrorHeader) != "" {
			refused++
		}
	}
	slices.Sort(took)
	return took, refused
}

// While one appliance publishes as much as it can, valid and invalid, the events of another are stored in turn: none is refused, and each
// waits for a few of the flood's, not for all.
func TestAFloodOfOneApplianceLeavesTheOthersAlone(t *testing.T) {
	for name, flooding := range map[string]func(i int) []byte{
		"valid":   func(i int) []byte { return eventJSON("flood", fmt.Sprint("f-", i)) },
		"invalid": func(i int) []byte { return eventJSON("flood", fmt.Sprint("f-", i), "type", `"none"`) },
	} {
		t.Run(name, func(t *testing.T) {
			o := defaults()
			o.options.EventsPerSecond, o.options.BytesPerSecond = 0, 0 // the gate alone
			h := open(t, o, "flood", "calm")
			nc := h.appliance("calm")
			alone, _ := h.timed(nc, "calm", "alone-", 50)
			stop := h.flood("flood", flooding)
			took, refused := h.timed(nc, "calm", "beside-", 100)
			each := stop()
			t.Logf("alone p50 %s p99 %s; beside the flood p50 %s p90 %s p99 %s, one of the flood %s", alone.at(0.5), alone.at(0.99),
				took.at(0.5), took.at(0.9), took.at(0.99), each)
			if refused > 0 {
				t.Errorf("%d of 100 valid events were refused", refused)
			}
			// Both slow down on a busy machine. What has to wait behind the flood takes as long as one of it.
			if limit := max(50*time.Millisecond, each/2); took.at(0.5) > limit {
				t.Errorf("half of them took %s or more beside the flood, want at most %s", took.at(0.5), limit)
			}
		})
	}
}

func TestAnApplianceAboveItsLimitIsRefusedWithTheWaitAndTheOthersAreNot(t *testing.T) {
	o := defaults()
	o.options.EventsPerSecond = 2
	var log bytes.Buffer
	notices := notice.NewBoard(slog.New(slog.NewTextHandler(&log, nil)))
	o.notices = notices
	h := open(t, o, "a-1", "a-2")
	refused := 0
	for i := range 60 {
		r := h.post(tokenOf("a-1"), "application/json", eventJSON("a-1", fmt.Sprint("e-", i)))
		switch r.Status {
		case http.StatusOK:
		case http.StatusTooManyRequests:
			refused++
			if s := r.Header.Get("Retry-After"); s != "1" || !strings.Contains(r.Message, "2 events a second") {
				t.Fatalf("Retry-After %q: %+v", s, r)
			}
		default:
			t.Fatalf("%+v", r)
		}
	}
	if refused == 0 {
		t.Fatal("60 events at once were all taken at 2 a second")
	}
	nc := h.appliance("a-1")
	r := h.request(nc, bus.IngestSubjectOf("a-1", kind), eventJSON("a-1", "n-1"))
	for range 100 {
		if r.Header.Get(micro.ErrorCodeHeader) != "" {
			break
		}
		r = h.request(nc, bus.IngestSubjectOf("a-1", kind), eventJSON("a-1", "n-1"))
	}
	if r.Header.Get(micro.ErrorCodeHeader) != "429" || r.Header.Get("Retry-After") != "1" || r.Code != 8 {
		t.Errorf("over NATS: %+v", r)
	}
	if r := h.post(tokenOf("a-2"), "application/json", eventJSON("a-2", "e-1")); r.Status != http.StatusOK {
		t.Errorf("another appliance: %+v", r)
	}
	if n := h.counts.of("refused RATE_LIMITED http"); n != refused {
		t.Errorf("%d counted, %d refused", n, refused)
	}
	if n := h.counts.of("limited a-1"); n <= refused {
		t.Errorf("%d counted of a-1, more than %d refused", n, refused)
	}
	waittest.Until(t, "a notice about a-1", func() bool {
		all := strings.Join(notices.All(), "\n")
		return strings.Contains(all, "appliance a-1 exceeds the limit of 2 events a second") && !strings.Contains(all, "a-2")
	})
}

func TestABatchCountsItsEvents(t *testing.T) {
	o := defaults()
	o.options.EventsPerSecond = 1
	h := open(t, o, "a-1")
	var events [][]byte
	for i := range 40 {
		events = append(events, eventJSON("a-1", fmt.Sprint("e-", i)))
	}
	b, code := h.batch(tokenOf("a-1"), array(events...))
	if code != http.StatusTooManyRequests || b.Accepted < 1 || b.Refused == 0 {
		t.Errorf("%d: %d accepted, %d refused", code, b.Accepted, b.Refused)
	}
}

func TestAnAppliancesOwnLimitGoesBeforeTheDefault(t *testing.T) {
	o := defaults()
	o.options.EventsPerSecond, o.limited = 1, map[string]int32{"a-1": 1000}
	h := open(t, o, "a-1", "a-2")
	for i := range 20 {
		if r := h.post(tokenOf("a-1"), "application/json", eventJSON("a-1", fmt.Sprint("e-", i))); r.Status != http.StatusOK {
			t.Fatalf("%d: %+v", i, r)
		}
	}
}

// A flood of rejected events leaves few log lines, and they say how many there would have been.
func TestLogLinesOfRejectedEventsAreSampled(t *testing.T) {
	o := defaults()
	var log lockedBuffer
	o.log = slog.New(slog.NewTextHandler(&log, nil))
	h := open(t, o, "a-1")
	const sent = 300
	for i := range sent {
		if r := h.post(tokenOf("a-1"), "application/json", eventJSON("a-1", fmt.Sprint("e-", i), "type", `"none"`)); r.Status != 400 {
			t.Fatalf("%+v", r)
		}
	}
	waittest.Until(t, "a line that says how many were left out", func() bool {
		h.post(tokenOf("a-1"), "application/json", eventJSON("a-1", "more", "type", `"none"`))
		return strings.Contains(log.String(), "left_out=")
	})
	if n := strings.Count(log.String(), "event rejected"); n > sent/2 {
		t.Errorf("%d lines of %d events", n, sent)
	}
}

// lockedBuffer is a log that is read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
