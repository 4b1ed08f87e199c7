package recipient

import "time"

// How many disabled windows a recipient keeps, and for how long: no event lives longer than the stream keeps it (8 d).
const (
	maxWindows   = 100
	maxWindowAge = 8 * 24 * time.Hour
)

// NextWindows says which disabled windows a recipient has after a change at a time: a window is open exactly while it is
// disabled with Skip. Windows that no stored event can fall into any more are cut; beyond a hundred the oldest go, since
// joining two would skip what was accepted between them.
func NextWindows(old []Window, enabled bool, policy WhileDisabled, now time.Time) []Window {
	skipping := !enabled && policy != Hold
	var out []Window
	for _, w := range old {
		if w.End.IsZero() && !skipping {
			w.End = now
		}
		if w.End.IsZero() || now.Sub(w.End) <= maxWindowAge {
			out = append(out, w)
		}
	}
	if skipping && (len(out) == 0 || !out[len(out)-1].End.IsZero()) {
		out = append(out, Window{Start: now})
	}
	if len(out) > maxWindows {
		out = out[len(out)-maxWindows:]
	}
	return out
}
