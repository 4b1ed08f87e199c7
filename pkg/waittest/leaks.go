package waittest

import (
	"testing"
	"time"

	"go.uber.org/goleak"
)

// VerifyTestMain runs the tests of a package and fails if they leave goroutines behind.
func VerifyTestMain(m *testing.M) { goleak.VerifyTestMain(waiting{m}, brokers()...) }

// brokers are goroutines that a nats-server leaves behind when it is shut down while it opens a stream, which happens in tests that stop
// a cluster during an election: nothing closes that stream's store again (nats-server 2.15.2). They belong to no code of this repository.
func brokers() []goleak.Option {
	return []goleak.Option{
		goleak.IgnoreTopFunction("github.com/nats-io/nats-server/v2/server.(*fileStore).flushStreamStateLoop"),
		goleak.IgnoreTopFunction("github.com/nats-io/nats-server/v2/server.(*msgBlock).flushLoop"),
		goleak.IgnoreTopFunction("github.com/nats-io/nats-server/v2/server/ats.Register.func1"),
	}
}

// leakLimit is when goroutines are taken for left behind. What has been closed may go on for a while: a broker flushes its blocks, and
// a Redis client that was about to dial sleeps for a second first. On a busy machine that is longer than goleak waits by itself.
const leakLimit = time.Minute

// waiting runs tests and waits for what is about to end.
type waiting struct{ m *testing.M }

// Run implements goleak.TestingM.
func (p waiting) Run() int {
	code := p.m.Run()
	for began := time.Now(); code == 0 && goleak.Find(brokers()...) != nil && time.Since(began) < leakLimit; {
		continue // Find waits by itself
	}
	return code
}
