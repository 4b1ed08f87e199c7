// Package e2e_test runs Outbound from outside, in both shapes, through the surface that users see.
package e2e_test

import (
	"os"
	"testing"

	"github.com/outbound-events/outbound/e2e/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }

// shapes runs a test in each shape, on a system of its own, beside each other.
func shapes(t *testing.T, f func(t *testing.T, h *harness.System)) {
	t.Helper()
	for _, shape := range harness.Shapes() {
		t.Run(string(shape), func(t *testing.T) {
			t.Parallel()
			f(t, harness.Start(t, shape))
		})
	}
}

// aspect is one thing that the suite shows.
type aspect struct {
	name string
	run  func(t *testing.T, h *harness.System)
}

// beside are aspects that run beside each other on one system: each has appliances and recipients of its own.
func beside() []aspect {
	return []aspect{
		{"each event arrives once with the documented variables", arrivesOnce},
		{"every event type arrives", everyType},
		{"JSON bodies are the event", arrivesAsJSON},
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
		{"what waits can be sent now, extended and cancelled", operatorChanges},
		{"send-now goes through an open breaker", sendsNowThroughABreaker},
		{"a queue can be emptied", purges},
		{"a dead recipient among ten harms only itself", deadAmongTen},
		{"services answer and changes are told", tellsWhoAnswers},
		{"users and tokens open the doors", letsPeopleIn},
		{"the broker knows appliances at once", knowsAppliancesAtOnce},
		{"a receiver pulls what it missed", pullsWhatItMissed},
		{"a receiver pulls instead of being sent", pullsInsteadOfBeingSent},
		{"the clients of the manual pull", clientsOfTheManualPull},
	}
}

// appliances are those of the aspects that run beside each other.
func appliances() []string {
	return []string{
		"again-1", "arrives-1", "bad-nats", "bad-post", "breaker-1", "operator-1", "cancels-1", "changes-1", "holds-1", "json-1", "locked-1",
		"pull-1", "pull-2", "pull-3", "purged-deleted", "purged-delayed", "purged-held", "purged-strict", "repeats-1",
		"replays-1", "retries-1", "skips-1", "ten-1", "tested-1", "told-1", "types-1",
	}
}

// after are aspects that need the system for themselves, in this order.
func after() []aspect {
	return []aspect{
		{"appliances sign in while the config service is away", letsAppliancesInWithoutConfig},
		{"mail arrives", mailArrives},
		{"secrets stay secret", keepsSecrets},
		{"a clean stop finishes what it began", stopsCleanly},
		{"a maintenance window holds and then drains at its rate", holdsInMaintenance},
	}
}

// TestSuite is the suite that runs in both shapes on one system each.
func TestSuite(t *testing.T) {
	t.Parallel()
	shapes(t, func(t *testing.T, h *harness.System) {
		h.AddAppliances(t, appliances()...)
		t.Run("beside each other", func(t *testing.T) {
			for _, x := range beside() {
				t.Run(x.name, func(t *testing.T) {
					t.Parallel()
					x.run(t, h)
				})
			}
		})
		for _, x := range after() {
			t.Run(x.name, func(t *testing.T) { x.run(t, h) })
		}
	})
}
