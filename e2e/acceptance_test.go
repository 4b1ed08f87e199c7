package e2e_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/outbound-events/outbound/e2e/harness"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// killedRounds is how often intake is killed right after it has answered, eventsInRound how many events it answers before.
const (
	killedRounds  = 8
	eventsInRound = 40
)

// What is accepted is found by its id, and told as a repeat, whenever the process that accepted it was killed.
func TestWhatWasAcceptedIsFoundThoughIntakeWasKilledRightAfterIt(t *testing.T) {
	for shape, process := range map[harness.Shape]string{harness.AllInOne: harness.One, harness.Services: "ingest"} {
		t.Run(string(shape), func(t *testing.T) {
			h := harness.Start(t, shape)
			a := h.AddAppliance(t, "killed-1")
			accepted := map[string]string{}
			for round := range killedRounds {
				for id, sequence := range publishRound(t, a, round) {
					accepted[id] = sequence
				}
				h.Kill(t, process)
				h.StartPart(t, process)
			}
			if want := killedRounds * eventsInRound; len(accepted) != want {
				t.Fatalf("%d events were accepted, want %d", len(accepted), want)
			}
			found(t, h, a.ID, accepted)
			// Without a time an event may be a repeat of any age.
			for id, sequence := range accepted {
				e := harness.NewEvent(a.ID, id, "support_conference_end", nil)
				e.Time = ""
				r, err := a.PostUntilAccepted(t, e)
				if err != nil || !r.Duplicate || r.Sequence.String() != sequence {
					t.Fatalf("%s, accepted at %s, was answered with %+v, %v", id, sequence, r, err)
				}
			}
		})
	}
}

// publishRound publishes the events of a round at once and returns when all are accepted: their sequences by id.
func publishRound(t *testing.T, a *harness.Appliance, round int) map[string]string {
	t.Helper()
	var mu sync.Mutex
	var wg sync.WaitGroup
	out := map[string]string{}
	for i := range eventsInRound {
		wg.Go(func() {
			id := fmt.Sprintf("e-%d-%d", round, i)
			r := publish(t, a, harness.NewEvent(a.ID, id, "support_conference_end", nil))
			mu.Lock()
			defer mu.Unlock()
			out[id] = r.Sequence.String()
		})
	}
	wg.Wait()
	return out
}

// found waits until each event is found by its key, as accepted at its sequence.
func found(t *testing.T, h *harness.System, appliance string, accepted map[string]string) {
	t.Helper()
	began := time.Now()
	waittest.NoError(t, "every accepted event to be found", func() error {
		missing := 0
		for id, sequence := range accepted {
			answer, err := h.REST.Call(http.MethodGet, "/v1/events/"+appliance+"~"+id, nil)
			if err != nil {
				return err
			}
			if answer.Status != http.StatusOK {
				missing++
				continue
			}
			if e := h.REST.Do(t, http.MethodGet, "/v1/events/"+appliance+"~"+id, nil); e["decision"] != "ACCEPTED" || e["sequence"] != sequence {
				return fmt.Errorf("%s, accepted at %s, is told as %v at %v", id, sequence, e["decision"], e["sequence"])
			}
		}
		if missing > 0 {
			return fmt.Errorf("%d of %d accepted events are not found", missing, len(accepted))
		}
		return nil
	})
	t.Logf("all %d accepted events are found after %v", len(accepted), time.Since(began).Round(time.Millisecond))
}
