package delivery

import (
	"sync/atomic"
	"time"

	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/recipient"
)

// heldTick is how often it is looked whether a maintenance window has closed.
const heldTick = time.Second

// heldAgain is how long a message is put back at most. It costs nothing if it comes before the window closes: it is not taken until
// then.
const heldAgain = startWait

// held is how long a maintenance window still holds the deliveries of a recipient, by the broker's clock; 0: none does.
func (w *recipientWorker) held(r *recipient.Recipient) time.Duration {
	now := w.e.o.Now()
	if b, open := r.InMaintenance(now); open {
		return b.End.Sub(now)
	}
	return 0
}

// maintain puts a message back that was taken when a window opened, or while one was looked for that somebody asked for.
func maintain(w *recipientWorker, t *task) *leaving {
	rest := w.held(t.d.Recipient)
	if rest <= 0 || t.byHand() {
		return nil
	}
	w.breaker.pass(t.candidate())
	v := Verdict{Kind: Postpone, Reason: reasons.Maintenance, After: max(min(rest, heldAgain), minWait)}
	return &leaving{putBack, result{verdict: v}}
}

// byHand reports whether somebody asked for this very attempt: then no window holds it.
func (t *task) byHand() bool { return t.sendNow || t.Test && t.d.Attempt == 1 }

// drain waits for a turn of the rate at which what a window held is sent after it.
func (w *recipientWorker) drain(t *task) *Verdict {
	r := t.d.Recipient
	if r.Maintenance == nil || w.e.o.Drain == nil || t.byHand() {
		return nil
	}
	rate := r.Maintenance.DrainRate(latestOf(t.Stored, t.attempted), w.e.o.Now())
	if rate <= 0 {
		return nil
	}
	return w.awaitTurn(func() time.Duration { return w.e.o.Drain(w.send, r, rate) })
}

// window is what a recipient worker knows of the window that is open.
type window struct {
	open bool
	// emptied is the mark up to which the queue was looked through for what ends without an attempt; looked says that it is being
	// looked through for the next one, ended that something did.
	emptied uint64
	looked  bool
	ended   atomic.Bool
}

// enterHeld says how many messages may be taken while a window is open: none, unless somebody asked for one, or the beginning of the queue
// is being emptied.
func (w *recipientWorker) enterHeld(r *recipient.Recipient, width int) (may int) {
	w.window.open = true
	if w.breaker.look() {
		return width
	}
	through := max(r.PurgedThrough, r.BacklogThrough)
	if through <= w.window.emptied {
		return 0
	}
	if w.window.looked && !w.window.ended.Swap(false) {
		w.window.emptied, w.window.looked = through, false
		return 0
	}
	w.window.looked = true
	w.breaker.demand([]uint64{through})
	w.breaker.look()
	return width
}

// leaveHeld has what was put back while a window was open come again.
func (w *recipientWorker) leaveHeld() {
	if w.window.open {
		w.window.open = false
		w.redeliver(nil)
	}
}
