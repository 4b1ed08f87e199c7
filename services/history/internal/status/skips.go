package status

import (
	"time"

	"github.com/outbound-events/outbound/pkg/recipient"
)

const (
	// skipsKept is how long skips are remembered: as long as the disabled windows of a recipient.
	skipsKept = 8 * 24 * time.Hour
	// mostSkips is how many seconds with skips are remembered singly; of more, the older ones are added up in pairs.
	mostSkips = 1024
)

// skipTally is how many events of a recipient were skipped in a second, or between two seconds where that is long ago.
type skipTally struct {
	last, number int64
}

// skips are the events that were skipped because a recipient was disabled, oldest first.
type skips []skipTally

// since is how many were skipped from a time on.
func (s skips) since(t time.Time) int64 {
	var out int64
	for i := len(s) - 1; i >= 0 && s[i].last >= t.Unix(); i-- {
		out += s[i].number
	}
	return out
}

// add counts one.
func (s skips) add(t time.Time) skips {
	second := t.Unix()
	if n := len(s); n > 0 && s[n-1].last >= second {
		s[n-1].number++
		return s
	}
	if len(s) >= mostSkips {
		s = s.joined()
	}
	return append(s, skipTally{last: second, number: 1})
}

// joined adds up the older half in pairs.
func (s skips) joined() skips {
	half := len(s) / 4 * 2
	out := make(skips, 0, len(s))
	for i := 0; i < half; i += 2 {
		out = append(out, skipTally{last: s[i+1].last, number: s[i].number + s[i+1].number})
	}
	return append(out, s[half:]...)
}

// countSkip counts an event that was skipped. The caller holds the lock.
func (a *Activity) countSkip(id string, at time.Time) { a.skips[id] = a.skips[id].add(at) }

// sweepSkips forgets recipients that skipped nothing lately. The caller holds the lock.
func (a *Activity) sweepSkips(now time.Time) {
	for id, s := range a.skips {
		if s[len(s)-1].last < now.Add(-skipsKept).Unix() {
			delete(a.skips, id)
		}
	}
}

// skippedSince is how many events of a recipient were skipped from a time on because it was disabled.
func (a *Activity) skippedSince(id string, t time.Time) int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.skips[id].since(t)
}

// lastSkipped is the last time in which a recipient was disabled with SKIP, if events of it may still be stored.
func lastSkipped(r *recipient.Recipient, now time.Time) (w recipient.Window, ok bool) {
	if len(r.DisabledWindows) == 0 {
		return w, false
	}
	w = r.DisabledWindows[len(r.DisabledWindows)-1]
	return w, w.End.IsZero() || now.Sub(w.End) < skipsKept
}
