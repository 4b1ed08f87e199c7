package control

import (
	"context"
	"fmt"
	"strings"
	"time"
)

const (
	// clockLook is the pause between two looks at how far the clock is off.
	clockLook = 500 * time.Millisecond
	// clockWrong is the offset from which there is a notice, clockRight the one below which it ends.
	clockWrong = 2 * time.Second
	clockRight = time.Second
	// clockChanged is how much an offset changes before its notice does.
	clockChanged = time.Second
)

// ClockWatcher is told how far the clock of this process is off.
type ClockWatcher struct {
	// Name is the process's, as its notice names it.
	Name string
	// Notify takes the notice; an empty text ends it.
	Notify func(text string)
	// Observe takes how far the clock is ahead of the broker's, in seconds.
	Observe func(seconds float64)
}

// WatchClock compares the clock of this process with the broker's until ctx ends.
func (c Client) WatchClock(ctx context.Context, w ClockWatcher) {
	tick := time.NewTicker(clockLook)
	defer tick.Stop()
	var said time.Duration
	for {
		offset := c.conn.ClockOffset()
		w.Observe(offset.Seconds())
		switch {
		case said == 0 && offset.Abs() <= clockWrong:
		case offset.Abs() < clockRight:
			said = 0
			w.Notify("")
		case (offset - said).Abs() >= clockChanged:
			said = offset
			w.Notify(clockNotice(w.Name, offset))
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// clockNoticeBegins is how the notice of a clock begins.
const clockNoticeBegins = "The clock of "

// clockNotice says that the clock of a process is off.
func clockNotice(name string, offset time.Duration) string {
	return fmt.Sprintf("%s%s is %s: deliveries go by the broker's clock and are not affected. Compare both hosts with a correct clock and "+
		"set the wrong one by NTP.", clockNoticeBegins, name, aheadOf("the broker's", offset))
}

// aheadOf says by how much a clock is ahead of another or behind it.
func aheadOf(other string, offset time.Duration) string {
	if offset < 0 {
		return fmt.Sprintf("%s behind %s", -offset.Round(time.Second), other)
	}
	return fmt.Sprintf("%s ahead of %s", offset.Round(time.Second), other)
}

// WithoutSharedClock takes the notices of clocks away if all processes see the same offset, for then it is likely the broker's clock that
// is wrong. It returns the notice that says so, or nothing.
func WithoutSharedClock(all []Presence) (out []Presence, notice string) {
	instances := map[string]bool{}
	var least, most time.Duration
	for i, p := range all {
		offset := time.Duration(p.ClockOffset * float64(time.Second))
		if offset.Abs() < clockRight {
			return all, ""
		}
		if i == 0 {
			least, most = offset, offset
		}
		least, most = min(least, offset), max(most, offset)
		instances[p.Instance] = true
	}
	if len(instances) < 2 || most-least > clockWrong || most.Abs() <= clockWrong {
		return all, ""
	}
	out = make([]Presence, len(all))
	for i, p := range all {
		out[i] = p
		out[i].Notices = nil
		for _, text := range p.Notices {
			if !strings.HasPrefix(text, clockNoticeBegins) {
				out[i].Notices = append(out[i].Notices, text)
			}
		}
	}
	return out, fmt.Sprintf("The broker's clock is %s, of which there are %d: it is likely the broker's that is wrong. Times of events "+
		"and deliveries are the broker's. Set its host's clock by NTP.", aheadOf("those of all processes", -most), len(instances))
}
