package fair

import "time"

// window is how many events are stored at once: few enough that the store's own queue stays short, and many enough that it commits
// large groups. It follows the time that storing takes, as the delay-based congestion control of TCP Vegas does (Brakmo and Peterson,
// 1995): what takes much longer than it does without load is waiting.
type window struct {
	now, most int
	// base is how long storing takes without waiting: the least that was seen, 0 while that is unknown.
	base time.Duration
	// What was seen since the last change.
	sum   time.Duration
	least time.Duration
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
		w.since, w.least = now, took
	}
	w.least = min(w.least, took)
	w.sum += took
	w.n++
	if w.n < changeSamples || now.Sub(w.since) < changeAfter {
		return
	}
	mean := w.sum / time.Duration(w.n)
	w.sum, w.n = 0, 0
	w.change(mean, w.least, full)
}

// change adapts the window to the mean time and to the least. A store that has become slower is noticed where the least time is not one
// of waiting: without load, or with the smallest window.
func (w *window) change(mean, least time.Duration, full bool) {
	switch {
	case w.base == 0, least < w.base:
		w.base = least
	case !full, w.now <= leastWindow:
		w.base += (least - w.base) / 8
	}
	limit := max(leastDelay, min(2*w.base, w.base+mostDelay))
	switch {
	case mean > limit:
		w.now = max(min(leastWindow, w.most), w.now*4/5)
	case full:
		w.now = min(w.most, w.now+w.now/4+1)
	}
}
