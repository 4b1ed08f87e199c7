package browser_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/outbound-events/outbound/e2e/browser"
	"github.com/outbound-events/outbound/e2e/harness"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// The live tail is shown deliveries at a rate, for some seconds.
const (
	tailRate  = 200
	tailBurst = 10
	tailTotal = 1000
	// tailRows is how many rows the page keeps; tailBatches how often in a second it is told at most.
	tailRows    = 200
	tailBatches = 4
)

// tally is what eyes.js counts.
type tally struct {
	Batches, Records, Missed, Most, Frames, Long int
	Longest                                      float64
}

func read(t *testing.T, page *browser.Page) tally {
	t.Helper()
	var out tally
	if err := json.Unmarshal([]byte(page.Text("JSON.stringify(eyes.tally)")), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// liveTail delivers many events while a list of deliveries looks on. It is told in batches, keeps no more rows than it may, answers
// while it goes, and each delivery is told or counted as missed.
func (p *place) liveTail(t *testing.T) {
	id := p.system.AddRecipient(t, harness.Object{
		"id": "busy", "displayName": "Busy", "eventTypes": []string{joined}, "http": harness.Object{"url": p.receiver.URL("busy")},
	})
	a := p.system.AddAppliance(t, "busy-1")
	page := p.come(t, viewer).Open("/deliveries?recipientId="+id).See("#live-state", "live")
	keep(page)
	began := time.Now()
	flow := publishSteadily(t, a)
	// It can be paused and goes on: somebody reads a row while more come.
	page.See("#rows tr", "delivered").Click("#live-toggle", "Pause").See("#live-toggle", "new")
	top := page.Text("document.querySelector('#rows tr').id")
	before := read(t, page).Records
	page.Await("more to come while it is paused", fmt.Sprintf("eyes.tally.records > %d", before+tailBurst))
	if now := page.Text("document.querySelector('#rows tr').id"); now != top {
		t.Errorf("a paused list moved: %s was at its top, now %s is", top, now)
	}
	page.Click("#live-toggle", "new").See("#live-state", "live").
		Await("the list to go on", "document.querySelector('#rows tr').id !== "+fmt.Sprintf("%q", top))
	if err := flow(); err != nil {
		t.Fatal(err)
	}
	page.Await("each delivery to be told or counted", fmt.Sprintf("eyes.tally.records + eyes.tally.missed >= %d", tailTotal))
	// Events overtake each other: the last one is what the list has first.
	list, _ := p.system.REST.Do(t, http.MethodGet, "/v1/deliveries?pageSize=1&recipientId="+id, nil)["deliveries"].([]any)
	if len(list) != 1 {
		t.Fatalf("the list begins with %v", list)
	}
	newest, _ := list[0].(harness.Object)
	page.See("#rows", fmt.Sprint(newest["eventId"]))
	elapsed, got := time.Since(began), read(t, page)
	t.Logf("%d deliveries in %.1f s: %+v", tailTotal, elapsed.Seconds(), got)
	if got.Records+got.Missed != tailTotal {
		t.Errorf("%d were told and %d missed, want %d in all", got.Records, got.Missed, tailTotal)
	}
	if most := int(tailBatches*elapsed.Seconds()) + 2; got.Batches > most || got.Batches < 2 {
		t.Errorf("the page was told in %d batches, want 2 to %d", got.Batches, most)
	}
	if got.Most > tailRows || page.Count("#rows > tr") != tailRows {
		t.Errorf("the page had up to %d rows and has %d, want %d", got.Most, page.Count("#rows > tr"), tailRows)
	}
	if n := page.Number("new Set([...document.querySelectorAll('#rows > tr')].map((r) => r.id)).size"); n != tailRows {
		t.Errorf("the page shows %d different deliveries in %d rows", n, tailRows)
	}
	if got.Frames < got.Batches {
		t.Errorf("the page drew %d times for %d batches", got.Frames, got.Batches)
	}
	kept(page)
}

// publishSteadily publishes at the rate. What it returns waits for the end.
func publishSteadily(t *testing.T, a *harness.Appliance) func() error {
	ctx, cancel := waittest.Context(t.Context())
	t.Cleanup(cancel)
	var all sync.WaitGroup
	faults := make(chan error, tailTotal)
	all.Go(func() {
		tick := time.NewTicker(time.Second * tailBurst / tailRate)
		defer tick.Stop()
		for i := 0; i < tailTotal; i += tailBurst {
			<-tick.C
			for j := range tailBurst {
				all.Go(func() {
					e := harness.NewEvent(a.ID, fmt.Sprintf("tail-%04d", i+j), joined, harness.Object{})
					if _, err := a.PublishUntilAccepted(ctx, t, e); err != nil {
						faults <- err
					}
				})
			}
		}
	})
	return func() error {
		all.Wait()
		close(faults)
		return <-faults
	}
}
