// Package waittest waits for facts in tests. A test goes on as soon as what it waits for is true, however long that takes: Limit only
// ends a test that hangs, and nothing else says how long a test may wait.
package waittest

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Limit is when a wait is taken to hang. It is far beyond what a machine needs whose cores are all busy, and proves nothing about
// speed.
const Limit = 5 * time.Minute

// The pauses between two looks grow with the time that has passed: short waits end at once, and long ones cost little. After a look that
// took long, they are longer, so that what is waited for has most of the machine, and looks at much do not hold up other tests.
const (
	shortestPause = time.Millisecond
	longestPause  = 250 * time.Millisecond
	pausePart     = 16
	lookPart      = 2
	longestRest   = 3 * time.Second
)

// T is what a wait needs of a test. Every testing.TB has it.
type T interface {
	Helper()
	Fatalf(format string, args ...any)
}

// Until asks for a fact again and again until it is true.
func Until(t T, what string, fact func() bool) {
	t.Helper()
	NoError(t, what, func() error {
		if !fact() {
			return errors.New("it never came")
		}
		return nil
	})
}

// NoError calls a function again and again until it returns no error. A test that hangs fails with the last one.
func NoError(t T, what string, fact func() error) {
	t.Helper()
	for began := time.Now(); ; {
		look := time.Now()
		err := fact()
		if err == nil {
			return
		}
		passed, rest := time.Since(began), min(lookPart*time.Since(look), longestRest)
		if passed > Limit {
			t.Fatalf("waited %s for %s: %v", Limit, what, err)
			return
		}
		<-time.After(max(rest, min(max(passed/pausePart, shortestPause), longestPause)))
	}
}

// Late is for a select: it says that a wait is taken to hang.
func Late() <-chan time.Time { return time.After(Limit) }

// Receive waits for what comes from a channel, or for its end.
func Receive[V any](t T, what string, ch <-chan V) (got V) {
	t.Helper()
	select {
	case got = <-ch:
	case <-Late():
		t.Fatalf("waited %s for %s", Limit, what)
	}
	return got
}

// Context is for calls that are expected to be answered: it ends when they are taken to hang, or with its parent.
func Context(parent context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(parent, Limit, fmt.Errorf("waited %s", Limit))
}
