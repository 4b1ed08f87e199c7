//go:build clockskew

package process

import (
	"os"
	"strings"
	"sync"
	"time"
)

// clockOffset says how far the clock is off: a duration, e.g. 2h or -90m, or @ and the path of a file that holds one and may change.
const clockOffset = prefix + "TEST_CLOCK_OFFSET"

// clockFileEvery is how often the file is read.
const clockFileEvery = 100 * time.Millisecond

// Clock is the host's wall clock, as far off as clockOffset says. What can't be read is no offset.
func Clock() func() time.Time {
	text := os.Getenv(clockOffset)
	path, isFile := strings.CutPrefix(text, "@")
	if !isFile {
		off, _ := time.ParseDuration(text)
		return func() time.Time { return time.Now().Add(off) }
	}
	var mu sync.Mutex
	var read time.Time
	var off time.Duration
	return func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		if time.Since(read) > clockFileEvery {
			read = time.Now()
			raw, _ := os.ReadFile(path)
			off, _ = time.ParseDuration(strings.TrimSpace(string(raw)))
		}
		return time.Now().Add(off)
	}
}

func clockVariables() []string { return []string{clockOffset} }
