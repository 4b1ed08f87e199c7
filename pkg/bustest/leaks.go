package bustest

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// leakLooks is how often goroutines are looked at before they are taken for left behind. Each look waits for some of them itself.
const leakLooks = 20

// VerifyTestMain runs the tests of a room that starts brokers, and fails if they leave goroutines behind. A broker that has shut
// down goes on flushing its blocks for a moment, on a busy machine longer than goleak waits by itself.
func VerifyTestMain(m *testing.M) {
	code := m.Run()
	var err error
	for range leakLooks {
		if err = goleak.Find(); err == nil {
			break
		}
	}
	if err != nil && code == 0 {
		fmt.Fprintf(os.Stderr, "the tests passed, but left something behind: %v\n", err)
		code = 1
	}
	os.Exit(code)
}
