package waittest

import (
	"testing"
	"time"

	"go.uber.org/goleak"
)

// VerifyTestMain runs the tests of a package and fails if they leave goroutines behind.
func VerifyTestMain(m *testing.M) { goleak.VerifyTestMain(waiting{m}) }

// leakLimit is when goroutines are taken for left behind. What has been closed may go on for a while: a broker flushes its blocks, and
// a Redis client that was about to dial sleeps for a second first. On a busy machine that is longer than goleak waits by itself.
const leakLimit = time.Minute

// waiting runs tests and waits for what is about to end.
type waiting struct{ m *testing.M }

// Run implements goleak.TestingM.
func (p waiting) Run() int {
	code := p.m.Run()
	for began := time.Now(); code == 0 && goleak.Find() != nil && time.Since(began) < leakLimit; {
		continue // Find waits by itself
	}
	return code
}
