package e2e_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
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
	missing := slices.Sorted(maps.Keys(accepted))
	waittest.NoError(t, "every accepted event to be found", func() error {
		var err error
		if missing, err = notFound(h, appliance, missing, accepted); err == nil && len(missing) > 0 {
			err = fmt.Errorf("%d of %d accepted events are not found, as %s", len(missing), len(accepted), missing[0])
		}
		return err
	})
	t.Logf("all %d accepted events are found after %v", len(accepted), time.Since(began).Round(time.Millisecond))
}

// notFound looks for events, several at a time, and returns those that are not found, or not as accepted at their sequence.
func notFound(h *harness.System, appliance string, ids []string, accepted map[string]string) ([]string, error) {
	const atOnce = 8
	var mu sync.Mutex
	var out []string
	var all error
	var g sync.WaitGroup
	for part := range slices.Chunk(ids, len(ids)/atOnce+1) {
		g.Go(func() {
			for _, id := range part {
				err := isFound(h, appliance+"~"+id, accepted[id])
				mu.Lock()
				if err != nil {
					out = append(out, id)
				}
				if !errors.Is(err, errNotFound) {
					all = errors.Join(all, err)
				}
				mu.Unlock()
			}
		})
	}
	g.Wait()
	return out, all
}

var errNotFound = errors.New("it is not found")

// isFound reads an event by its key.
func isFound(h *harness.System, key, sequence string) error {
	answer, err := h.REST.Call(http.MethodGet, "/v1/events/"+key, nil)
	if err != nil {
		return err
	}
	if answer.Status != http.StatusOK {
		return fmt.Errorf("%s: %w: %d %s", key, errNotFound, answer.Status, answer.Body)
	}
	var e struct{ Decision, Sequence string }
	if err = json.Unmarshal(answer.Body, &e); err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	if e.Decision != "ACCEPTED" || e.Sequence != sequence {
		return fmt.Errorf("%s, accepted at %s, is told as %s at %s", key, sequence, e.Decision, e.Sequence)
	}
	return nil
}
