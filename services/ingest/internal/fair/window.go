package fair

import "time"

// window is how many events are stored at once: few enough that the store's own queue stays short, and many enough that it commits
// large groups. It follows the time that storing takes, as the delay-based congestion control of TCP Vegas does (Brakmo and Peterson,
// 1995): what takes much longer than it does without load is waiting.
type window struct {
	now, most int
	// base is how long storing takes without load, 0 while that is unknown.
	base time.Duration
	// What was seen since the last change.
	sum   time.Duration
	n     int
	since time.Time
}

const (
	// leastWindow still fills groups that the store commits at once.
	leastWindow = 32
	firstWindow = 128
	// A change is made after changeAfter and at least changeSamples events.
	changeAfter   = 50 * time.Millisecond
	changeSamples = 16
	// leastDelay is no sign of waiting, and mostDelay more than base is one.
	leastDelay = 8 * time.Millisecond
	mostDelay  = 15 * time.Millisecond
)

func newWindow(most int) window {
	return window{now: min(firstWindow, most), most: most}
}

func (w *window) size() int { return w.now }

// observe takes the time that storing one event took, and whether others wait for their turn meanwhile.
func (w *window) observe(took time.Duration, now time.Time, full bool) {
	if w.most == 0 {
		return // it is fixed
	}
	if w.n == 0 {
		w.since = now
	}
	w.sum += took
	w.n++
	if w.n < changeSamples || now.Sub(w.since) < changeAfter {
		return
	}
	mean := w.sum / time.Duration(w.n)
	w.sum, w.n = 0, 0
	w.change(mean, full)
}

// change adapts the window to the mean time.
func (w *window) change(mean time.Duration, full bool) {
	switch least := w.now <= leastWindow; {
	case w.base > 0 && mean < w.base, w.base == 0 && (!full || least):
		w.base = mean
	case !full || least:
		w.base += (mean - w.base) / 8
	}
	limit := leastDelay + mostDelay
	if w.base > 0 {
		limit = max(leastDelay, min(2*w.base, w.base+mostDelay))
	}
	switch {
	case mean > limit:
		w.now = max(min(leastWindow, w.most), w.now*4/5)
	case full:
		w.now = min(w.most, w.now+w.now/4+1)
	}
}
