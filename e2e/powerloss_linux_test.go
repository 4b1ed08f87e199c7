package e2e_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/outbound-events/outbound/e2e/harness"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// What was answered as accepted is there after a loss of power, and goes to every recipient that wants it; so does what is accepted
// afterwards, though its sequences may have been another's before. OUTBOUND_TEST_POWER_LOSSES says how often the power is lost.
func TestWhatWasAcceptedSurvivesALossOfPower(t *testing.T) {
	t.Parallel()
	if err := harness.CanMount(); err != nil {
		t.Skipf("no disk can be mounted here: %v", err)
	}
	asked := os.Getenv("OUTBOUND_TEST_POWER_LOSSES")
	if asked == "" {
		t.Skip("a power loss syncs the disk of all other tests: make powerloss runs it alone")
	}
	losses, err := strconv.Atoi(asked)
	if err != nil {
		t.Fatal(err)
	}
	disk := harness.NewDisk(t, 1<<30)
	h := harness.StartIn(t, harness.AllInOne, filepath.Join(disk.Dir, "system"), "always")
	site := harness.NewReceiver(t)
	types := []string{"support_conference_end"}
	recipients := []string{"at-once", "second-try"}
	site.Answer("second-try", http.StatusServiceUnavailable, http.StatusOK)
	for _, id := range recipients {
		h.AddRecipient(t, webhook(id, site.URL(id), types, harness.Object{"retryInterval": "1s"}))
	}
	load := publishUntilStopped(t, h.AddAppliance(t, "site-1"))
	var copies []*powerLoss
	for n := range losses {
		load.await(t, (n+1)*120)
		// Between two losses nothing but what was written meanwhile differs.
		h.Paused(t, harness.One, func() {
			copies = append(copies, &powerLoss{accepted: load.accepted(), delivered: deliveredTo(site, recipients, nil), disk: disk.LosePower(t)})
		})
	}
	load.stop()
	h.Kill(t, harness.One)
	for n, c := range copies {
		t.Logf("loss %d: %d events are accepted", n+1, len(c.accepted))
		c.check(t, site, recipients)
	}
}

type powerLoss struct {
	accepted  map[string]string
	delivered map[string]posted // by recipient, until the power was lost
	disk      *harness.Disk
}

// posted is the webhook-ids that a recipient has answered with 200, and how many of its posts have been looked at.
type posted struct {
	ids  map[string]bool
	seen int
}

// deliveredTo looks at the posts that have come since the last time.
func deliveredTo(site *harness.Receiver, recipients []string, since map[string]posted) map[string]posted {
	out := map[string]posted{}
	for _, recipient := range recipients {
		d := posted{ids: maps.Clone(since[recipient].ids), seen: since[recipient].seen}
		if d.ids == nil {
			d.ids = map[string]bool{}
		}
		posts := site.Of(recipient)
		for _, r := range posts[d.seen:] {
			if r.Status == http.StatusOK {
				d.ids[r.ID] = true
			}
		}
		d.seen = len(posts)
		out[recipient] = d
	}
	return out
}

// check starts Outbound on what is left, and counts: what was not delivered before the power was lost is delivered by this copy, for what
// others have delivered meanwhile does not count.
func (c *powerLoss) check(t *testing.T, site *harness.Receiver, recipients []string) {
	t.Helper()
	began := time.Now()
	now := map[string]posted{}
	for _, recipient := range recipients {
		now[recipient] = posted{ids: c.delivered[recipient].ids, seen: len(site.Of(recipient))}
	}
	h := harness.StartIn(t, harness.AllInOne, filepath.Join(c.disk.Dir, "system"), "always")
	a := h.AddAppliance(t, "site-2")
	var keys []string
	for id := range c.accepted {
		keys = append(keys, "site-1~"+id)
	}
	for i := range 20 {
		e := harness.NewEvent(a.ID, fmt.Sprintf("after-%d-%d", len(c.accepted), i), "support_conference_end", nil)
		publish(t, a, e)
		keys = append(keys, e.Key())
	}
	found(t, h, "site-1", c.accepted)
	waittest.NoError(t, "all accepted events to be delivered", func() error {
		now = deliveredTo(site, recipients, now)
		for _, recipient := range recipients {
			missing := slices.DeleteFunc(slices.Clone(keys), func(key string) bool { return now[recipient].ids[key] })
			if len(missing) > 0 {
				return fmt.Errorf("%d of %d are missing at %s, as %s", len(missing), len(keys), recipient, missing[0])
			}
		}
		return nil
	})
	t.Logf("all %d are delivered, %d and %d of them before the loss, after %v", len(keys), len(c.delivered[recipients[0]].ids),
		len(c.delivered[recipients[1]].ids), time.Since(began).Round(time.Millisecond))
	h.Kill(t, harness.One)
}

// load publishes events by several publishers until it is stopped, and knows which were answered as accepted, by id.
type load struct {
	mu    sync.Mutex
	known map[string]string
	stop  func()
}

func publishUntilStopped(t *testing.T, a *harness.Appliance) *load {
	t.Helper()
	l := &load{known: map[string]string{}}
	ctx, cancel := context.WithCancel(t.Context())
	var publishers sync.WaitGroup
	l.stop = func() { cancel(); publishers.Wait() }
	t.Cleanup(l.stop)
	for p := range 16 {
		publishers.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				id := fmt.Sprintf("e-%d-%d", p, i)
				r, err := a.Publish(ctx, harness.NewEvent(a.ID, id, "support_conference_end", nil))
				if err != nil {
					continue // it is stopped, or a request was lost
				}
				l.mu.Lock()
				l.known[id] = r.Sequence.String()
				l.mu.Unlock()
			}
		})
	}
	return l
}

func (l *load) accepted() map[string]string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.known)
}

func (l *load) await(t *testing.T, n int) {
	t.Helper()
	waittest.Until(t, "events to be accepted", func() bool { return len(l.accepted()) >= n })
}
