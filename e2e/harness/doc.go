// Package harness runs Outbound from outside, as an operator would: it builds the binaries, starts them as processes in
// either of the two shapes, plays appliances, receivers and a mail relay, and counts what arrived.
//
// Everything is seen through the fixed surface: flags, options files, environment, REST, gRPC, NATS, HTTP and SMTP.
package harness

import (
	"context"
	"time"
)

// T is what the harness needs of a test. Every testing.TB has it, and so has the bench.
type T interface {
	Helper()
	Name() string
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Failed() bool
	Cleanup(f func())
	TempDir() string
}

// Until calls fact every few milliseconds until it returns nil, and fails the test with its last error if that takes longer
// than within.
func Until(t T, within time.Duration, what string, fact func() error) {
	t.Helper()
	if err := until(within, fact); err != nil {
		t.Fatalf("waited %v for %s: %v", within, what, err)
	}
}

func until(within time.Duration, fact func() error) error {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	pause := firstPause
	for {
		err := fact()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
			pause = min(2*pause, longestPause)
		}
	}
}

// The pauses of until grow, so that dear questions are not asked too often.
const (
	firstPause   = 5 * time.Millisecond
	longestPause = 640 * time.Millisecond
)
