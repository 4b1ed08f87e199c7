package e2e_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/outbound-events/outbound/e2e/harness"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// endsWithin is how long a process may take to end when the broker is gone.
const endsWithin = 10 * time.Second

// Each process ends in time though the broker is gone, or stands still, in the middle of its work. What it could not bring to the
// broker is counted in its log.
func TestEachProcessEndsInTimeThoughTheBrokerIsGone(t *testing.T) {
	for name, silence := range map[string]func(*harness.System, harness.T){
		"killed": func(h *harness.System, t harness.T) { h.Kill(t, "nats") },
		"frozen": func(h *harness.System, t harness.T) { h.Freeze(t, "nats") },
	} {
		t.Run(name, func(t *testing.T) {
			h := harness.Start(t, harness.Services)
			site := harness.NewReceiver(t)
			a := h.AddAppliance(t, "ends-1")
			site.Hold("hangs")
			release := site.Hold("late")
			for _, name := range []string{"hangs", "late", "answers"} {
				h.AddRecipient(t, webhook("Ends "+name, site.URL(name), []string{"support_conference_end"}, harness.Object{"retryInterval": "1s"}))
			}
			for i := range 16 {
				publish(t, a, harness.NewEvent(a.ID, fmt.Sprint("e-", i), "support_conference_end", nil))
			}
			arrived(t, site, "hangs", 16)
			arrived(t, site, "late", 16)
			silence(h, t)
			release() // what comes of these attempts can't be recorded
			stop := posting(t, a)
			defer stop()
			endInTime(t, h)
			for process, stream := range map[string]string{"ingest": "EVENTS"} {
				if out := h.Output(t, process); !strings.Contains(out, `"stream":"`+stream+`","messages":`) {
					t.Errorf("%s does not tell how much of %s it gave up", process, stream)
				}
			}
			senders := h.Output(t, "http-sender-1") + h.Output(t, "http-sender-2")
			if !strings.Contains(senders, `"stream":"HISTORY","messages":`) {
				t.Error("no sender tells how many records it gave up")
			}
		})
	}
}

// posting posts events that can't be stored, until stop is called. It returns when intake has answered one
// that it can't say whether it is stored: the others wait.
func posting(t *testing.T, a *harness.Appliance) (stop func()) {
	t.Helper()
	var wg sync.WaitGroup
	end, refused := make(chan struct{}), make(chan struct{}, 1000)
	for i := range 16 {
		wg.Go(func() {
			tick := time.NewTicker(10 * time.Millisecond)
			defer tick.Stop()
			for n := 0; ; n++ {
				select {
				case <-end:
					return
				case <-tick.C:
				}
				_, err := a.Post(harness.NewEvent(a.ID, fmt.Sprintf("late-%d-%d", i, n), "support_conference_end", nil))
				if err != nil && strings.Contains(err.Error(), "STORE_SLOW") {
					select {
					case refused <- struct{}{}:
					default:
					}
				}
			}
		})
	}
	waittest.Receive(t, "a post to be answered", refused)
	return sync.OnceFunc(func() { close(end); wg.Wait() })
}

// endInTime asks all processes but the broker to end, together, and checks that each does so in time, without an error.
func endInTime(t *testing.T, h *harness.System) {
	t.Helper()
	var wg sync.WaitGroup
	for _, name := range h.Parts() {
		if name == "nats" {
			continue
		}
		wg.Go(func() {
			code, took, err := h.StopPart(t, name)
			t.Logf("%s ended with %d after %v", name, code, took.Round(100*time.Millisecond))
			if err != nil || took > endsWithin || code != 0 {
				t.Errorf("%s ended with %d after %v: %v", name, code, took, err)
			}
		})
	}
	wg.Wait()
}
