// Package e2e_test runs Outbound from outside, in both shapes, through the surface that users see.
package e2e_test

import (
	"os"
	"testing"

	"github.com/outbound-events/outbound/e2e/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }

// shapes runs a test in each shape, on a house of its own.
func shapes(t *testing.T, f func(t *testing.T, h *harness.House)) {
	for _, shape := range harness.Shapes() {
		t.Run(string(shape), func(t *testing.T) { f(t, harness.Start(t, shape)) })
	}
}

// TestSuite is the suite that runs in both shapes on one house each: nothing in it disturbs a neighbour.
func TestSuite(t *testing.T) {
	shapes(t, func(t *testing.T, h *harness.House) {
		for _, c := range []struct {
			name string
			run  func(t *testing.T, h *harness.House)
		}{
			{"each event arrives once with the documented variables", arrivesOnce},
			{"every event type arrives", everyType},
			{"JSON bodies are the event", arrivesAsJSON},
			{"mail arrives", mailArrives},
			{"bad events are refused and recorded", refusesBadEvents},
			{"bad posts are refused", refusesBadPosts},
			{"a repeat is answered as a duplicate", answersRepeats},
			{"invalid recipients show all their faults", refusesBadRecipients},
			{"conflicting changes conflict", conflictsConflict},
			{"only tokens open the doors", doorsAreLocked},
			{"a failing receiver gets the event again at the set interval", triesAgain},
			{"changes act on the next event", changesAct},
			{"a disabled recipient that holds gets it all later", holdsWhileDisabled},
			{"a disabled recipient that skips is recorded", skipsWhileDisabled},
			{"what waited for a deleted recipient is cancelled", cancelsWhatWaited},
			{"a test takes the same way", testsARecipient},
			{"what expired can be sent again", retriesWhatExpired},
			{"many can be sent again, and elsewhere", replays},
			{"what waits can be sent now, extended and cancelled", changesByHand},
			{"send-now goes through an open breaker", sendsNowThroughABreaker},
			{"a queue can be emptied", purges},
			{"a dead recipient among ten harms only itself", deadAmongTen},
			{"services answer and changes are told", tellsWhoAnswers},
			{"users and tokens open the doors", letsPeopleIn},
			{"secrets stay secret", keepsSecrets},
			{"a clean stop finishes what it began", stopsCleanly},
		} {
			t.Run(c.name, func(t *testing.T) { c.run(t, h) })
		}
	})
}
