package delivery

import (
	"context"
	"sync"
	"time"

	"github.com/outbound-events/outbound/pkg/delivery/reasons"
)

// Freshness tells how recent the Directory is.
type Freshness interface {
	// CompleteThrough is a sequence of EVENTS: the Directory holds all that was changed, and answered, before the event there was
	// accepted. known is false if that can't be told at all; decisions are then made by what there is. changed is closed when the
	// answer is another one.
	CompleteThrough() (sequence uint64, known bool, changed <-chan struct{})
	// AskThrough has the answer reach a sequence soon. It returns at once.
	AskThrough(sequence uint64)
}

const (
	// holdFor is how long a message is held before it is put back, well within the ack wait; holdAgain is its delay then.
	holdFor   = 10 * time.Second
	holdAgain = startWait
	// holdTick is how often it is looked which messages have been held for too long.
	holdTick = time.Second
)

// holder keeps messages that end for what their recipients select, until it is certain that what is known of these is as recent as
// the events. A message that is held takes no slot and has no record.
type holder struct {
	e *Engine
	// again asks run to look at what is held.
	again chan struct{}

	mu     sync.Mutex
	waits  []heldTask
	closed bool
}

// heldTask is a message that is held. It counts among the records that its recipient worker waits for.
type heldTask struct {
	w *recipientWorker
	t *task
	// v is what the recipient's configuration says, as far as it was known.
	v     Verdict
	since time.Time
}

func newHolder(e *Engine) *holder { return &holder{e: e, again: make(chan struct{}, 1)} }

// knownThrough is up to which sequence of EVENTS the Directory, if it is asked afterwards, is complete.
func (e *Engine) knownThrough() (sequence uint64, known bool) {
	if e.o.Freshness == nil {
		return 0, false
	}
	sequence, known, _ = e.o.Freshness.CompleteThrough()
	return sequence, known
}

// ofSelection reports whether a verdict ends a delivery for what its recipient is configured to get. Marks in the queue are not meant:
// they only ever rise.
func ofSelection(v Verdict) bool {
	return v.Kind == Drop && (stateOf(v) == StateSkipped || v.Reason == reasons.Deleted)
}

// hold keeps a message, or puts it back if too many are held already.
func (h *holder) hold(x heldTask) {
	x.since = time.Now()
	x.w.late.Add(1)
	h.mu.Lock()
	stopped, full := h.closed, len(h.waits) >= h.e.o.Window
	if !stopped && !full {
		h.waits = append(h.waits, x)
	}
	h.mu.Unlock()
	switch {
	case stopped:
		h.putBack(x, reasons.Shutdown, shutdownWait)
	case full:
		h.putBack(x, reasons.ConfigBehind, holdAgain)
	}
	if through, known := h.e.knownThrough(); known && through < x.t.Sequence {
		h.e.o.Freshness.AskThrough(x.t.Sequence)
		return
	}
	// It became known just now, and run may have looked before this one was there.
	select {
	case h.again <- struct{}{}:
	default:
	}
}

func (h *holder) putBack(x heldTask, reason reasons.Reason, after time.Duration) {
	defer x.w.late.Done()
	h.e.settle(x.w, x.t, leaving{postponed, result{verdict: Verdict{Kind: Postpone, Reason: reason, After: after}}})
}

// run decides on what is held as the Directory becomes complete, until ctx ends. Then it puts back what is left.
func (h *holder) run(ctx context.Context) {
	tick := time.NewTicker(holdTick)
	defer tick.Stop()
	for ctx.Err() == nil {
		through, known, changed := h.e.o.Freshness.CompleteThrough()
		for _, x := range h.take(func(x heldTask) bool { return !known || x.t.Sequence <= through }) {
			h.decide(x)
		}
		for _, x := range h.take(func(x heldTask) bool { return time.Since(x.since) > holdFor }) {
			h.putBack(x, reasons.ConfigBehind, holdAgain)
		}
		for _, x := range h.take(func(x heldTask) bool { return x.w.take.Err() != nil }) {
			h.putBack(x, reasons.Shutdown, shutdownWait)
		}
		select {
		case <-ctx.Done():
		case <-changed:
		case <-h.again:
		case <-tick.C:
		}
	}
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	for _, x := range h.take(func(heldTask) bool { return true }) {
		h.putBack(x, reasons.Shutdown, shutdownWait)
	}
}

// decide ends a message if its recipient is still the one that did not select it. Else it is handed out again at once, and judged by
// what is known now.
func (h *holder) decide(x heldTask) {
	if r, ok := h.e.o.Recipients.Recipient(x.w.id); ok && r == x.t.d.Recipient {
		defer x.w.late.Done()
		h.e.settle(x.w, x.t, leaving{dropped, result{verdict: x.v}})
		return
	}
	h.putBack(x, reasons.ConfigBehind, minWait)
}

// take takes out what is chosen.
func (h *holder) take(chosen func(heldTask) bool) (out []heldTask) {
	h.mu.Lock()
	defer h.mu.Unlock()
	kept := h.waits[:0]
	for _, x := range h.waits {
		if chosen(x) {
			out = append(out, x)
		} else {
			kept = append(kept, x)
		}
	}
	clear(h.waits[len(kept):])
	h.waits = kept
	return out
}
