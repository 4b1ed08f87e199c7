package e2e_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/outbound-events/outbound/e2e/harness"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// events is how many are published in each fault test.
const events = 5000

// mostRepeated is the published bound on duplicates of one killed sender: its slots and its window of unsettled deliveries.
const mostRepeated = 2000 + 256

// fault plays one fault in the middle of many events to two recipients, and counts.
type fault struct {
	shape harness.Shape
	// strike does the harm, mend what an operator would do then. Either may be nil.
	strike, mend func(t *testing.T, h *harness.System)
	// duplicates is the most that may arrive twice.
	duplicates int
}

func (f fault) run(t *testing.T) {
	t.Parallel()
	h := harness.Start(t, f.shape)
	site := harness.NewReceiver(t)
	a := h.AddAppliance(t, "fault-1")
	names := []string{"first", "second"}
	var ids []string
	for _, name := range names {
		ids = append(ids, h.AddRecipient(t, webhook("Fault "+name, site.URL(name), []string{"support_conference_end"},
			harness.Object{"retryInterval": "1s"})))
	}
	flood := a.Flood(t.Context(), events, 32, "support_conference_end")
	waittest.NoError(t, "the middle of the events", func() error {
		if n := site.Len(); n < len(names)*events/3 {
			return fmt.Errorf("%d requests arrived", n)
		}
		return nil
	})
	f.strike(t, h)
	accepted, arrived := flood.Accepted.Load(), site.Len()
	t.Logf("struck when %d events were accepted and %d of %d deliveries had arrived", accepted, arrived, len(names)*events)
	if arrived >= len(names)*events {
		t.Fatalf("struck too late: everything had arrived")
	}
	if f.mend != nil {
		f.mend(t, h)
	}
	keys := flood.Wait(t)
	f.count(t, h, site, keys, names, ids)
	t.Logf("publishes repeated because their result was unknown: %d, of which known already: %d", flood.Repeats.Load(), flood.Unclear.Load())
	h.Stop(t)
}

// count waits for the end of all deliveries and checks that the sums add up.
func (f fault) count(t *testing.T, h *harness.System, site *harness.Receiver, keys, names, ids []string) {
	t.Helper()
	began := time.Now()
	for _, id := range ids {
		waittest.NoError(t, "the deliveries of "+id+" to end", func() error {
			states, err := h.REST.FinalStates(t, id)
			if diff := cmp.Diff(map[string]int{"DELIVERED": events}, states); err == nil && diff != "" {
				return errDiff(diff)
			}
			return err
		})
	}
	account := site.Account(keys, names)
	t.Logf("after %v: %v (at most %d duplicates are promised)", time.Since(began).Round(time.Second), account, f.duplicates)
	if account.Owed != len(names)*events || account.Arrived != account.Owed || len(account.Lost) > 0 {
		t.Errorf("lost %d, e.g. %v", len(account.Lost), account.Lost[:min(5, len(account.Lost))])
	}
	if len(account.Phantom)+len(account.Changed) > 0 {
		t.Errorf("phantoms %v, changed bodies %v", account.Phantom, account.Changed)
	}
	if account.Duplicates > f.duplicates {
		t.Errorf("%d duplicates, at most %d are promised", account.Duplicates, f.duplicates)
	}
}

func TestNothingIsLostWhenTheAllInOneIsKilled(t *testing.T) {
	fault{
		shape:      harness.AllInOne,
		strike:     func(t *testing.T, h *harness.System) { h.Kill(t, harness.One) },
		mend:       func(t *testing.T, h *harness.System) { h.StartPart(t, harness.One) },
		duplicates: mostRepeated,
	}.run(t)
}

func TestNothingIsLostWhenOneOfTwoSendersIsKilled(t *testing.T) {
	fault{
		shape:      harness.Services,
		strike:     func(t *testing.T, h *harness.System) { h.Kill(t, "http-sender-1") },
		duplicates: mostRepeated,
	}.run(t)
}

func TestNothingIsLostWhenTheBrokerIsKilled(t *testing.T) {
	fault{
		shape:  harness.Services,
		strike: func(t *testing.T, h *harness.System) { h.Kill(t, "nats") },
		mend:   func(t *testing.T, h *harness.System) { h.StartPart(t, "nats") },
		// A killed broker forgets 100 ms of acknowledgements; HISTORY knows them, so only what was on its way is repeated.
		duplicates: 2 * mostRepeated,
	}.run(t)
}

func TestNothingIsLostWhenIngestAndConfigAreKilled(t *testing.T) {
	fault{
		shape: harness.Services,
		strike: func(t *testing.T, h *harness.System) {
			h.Kill(t, "ingest")
			h.Kill(t, "config")
		},
		mend:       func(t *testing.T, h *harness.System) { h.StartAll(t) },
		duplicates: 0,
	}.run(t)
}
