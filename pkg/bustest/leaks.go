package bustest

import (
	"testing"

	"go.uber.org/goleak"
)

// leakLooks is how often goroutines are looked at before they are taken for left behind. Each look waits for some of them itself.
const leakLooks = 20

// VerifyTestMain runs the tests of a room that starts brokers, and fails if they leave goroutines behind. A broker that has shut
// down goes on flushing its blocks for a moment, on a busy machine longer than goleak waits by itself.
func VerifyTestMain(m *testing.M) { goleak.VerifyTestMain(patient{m}) }

// patient runs tests and waits for what is about to end.
type patient struct{ m *testing.M }

// Run implements goleak.TestingM.
func (p patient) Run() int {
	code := p.m.Run()
	for range leakLooks {
		if goleak.Find() == nil {
			break
		}
	}
	return code
}
