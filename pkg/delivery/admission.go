package delivery

import (
	"time"

	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/recipient"
)

// maxDelay is how long a message is put back at most. It costs little if it comes before the next probe, for it is not taken until then;
// and what a killed sender has put back is not away for longer.
const maxDelay = time.Minute

// slot waits for the recipient's turn and for a slot of the process. The caller of a nil answer frees the slot.
func (e *Engine) slot(w *recipientWorker, t *task) *Verdict {
	if v := e.turn(w, t.d.Recipient); v != nil {
		return v
	}
	if v := w.drain(t); v != nil {
		return v
	}
	switch {
	case e.slots.Acquire(w.share, startWait, w.take.Done()):
		return nil
	case w.take.Err() != nil:
		return &Verdict{Kind: Postpone, Reason: reasons.Shutdown, After: shutdownWait}
	default:
		return &Verdict{Kind: Postpone, Reason: reasons.NoSlot, After: startWait}
	}
}

// turn waits for the recipient's rate limit in the recipient's own slot, so that what cannot start yet is not handed out
// over and over; a turn too far away puts the message back.
func (e *Engine) turn(w *recipientWorker, r *recipient.Recipient) *Verdict {
	if e.o.Turn == nil || r.RateLimit.Limit <= 0 {
		return nil
	}
	return w.awaitTurn(func() time.Duration { return e.o.Turn(w.send, r) })
}

// awaitTurn asks for a turn until it is given.
func (w *recipientWorker) awaitTurn(ask func() time.Duration) *Verdict {
	begin := time.Now()
	for {
		wait := ask()
		if wait <= 0 {
			return nil
		}
		if time.Since(begin)+wait > startWait {
			return &Verdict{Kind: Postpone, Reason: reasons.RateLimit, After: wait}
		}
		w.pause(wait)
		if w.take.Err() != nil {
			return &Verdict{Kind: Postpone, Reason: reasons.Shutdown, After: shutdownWait}
		}
	}
}
