package delivery

import (
	"context"
	"fmt"
	"time"
)

// past asks the log what became of a message that may have been handed out before, and settles it if that decides. It
// returns the attempts made and, if the log can't be asked or the next attempt is not due, a Postpone.
func (e *Engine) past(l *lane, m Message, d *Delivery) (made int, v *Verdict, settled bool) {
	if m.HandedOut <= 1 && m.Stored.After(e.o.Since()) {
		return 0, nil, false
	}
	ctx, cancel := context.WithTimeout(l.send, startWait)
	defer cancel()
	rec, ok, err := e.o.Log.Latest(ctx, l.id, m.Event, m.ReplayID)
	if err != nil {
		return 0, &Verdict{Kind: Postpone, Reason: ReasonNoRecord, Detail: fmt.Sprintf("the delivery log can't be asked: %v", err), After: startWait}, false
	}
	if !ok {
		return 0, nil, false
	}
	if rec.State.Final() {
		l.settle(m, m.Settler.Ack)
		return 0, nil, true
	}
	d.Attempt, d.Progress = rec.Attempt+1, rec.Progress
	if rec.FirstAttempt != nil {
		d.FirstAttempt = *rec.FirstAttempt
	}
	if v := d.adopt(rec); v != nil {
		return rec.Attempt, v, false
	}
	if rec.NextAttempt != nil && emptied(d.Recipient, m.Sequence) == nil {
		if rest := time.Until(*rec.NextAttempt); rest > 0 {
			return rec.Attempt, &Verdict{Kind: Postpone, Reason: ReasonNotDue, After: rest}, false
		}
	}
	return rec.Attempt, nil, false
}

// byHand looks whether somebody changed a delivery while an attempt that failed was under way, and says what the failure comes
// to then; final says that the delivery is recorded as ended already. An attempt that succeeds stands whatever was asked for
// meanwhile.
func (e *Engine) byHand(l *lane, m Message, d *Delivery, v Verdict) (_ Verdict, final bool) {
	ctx, cancel := context.WithTimeout(l.send, startWait)
	defer cancel()
	rec, ok, err := e.o.Log.Latest(ctx, l.id, m.Event, m.ReplayID)
	if err != nil || !ok || rec.State.Final() {
		return v, err == nil && ok
	}
	if ended := d.adopt(rec); ended != nil {
		return *ended, false
	}
	return v, false
}

// adopt takes over what was done to a delivery by hand. It returns a Drop if it was cancelled.
func (d *Delivery) adopt(rec Record) *Verdict {
	if rec.Extended != nil {
		d.Extended = *rec.Extended
	}
	if !rec.CancelAsked {
		return nil
	}
	d.Actor = rec.Actor
	return &Verdict{Kind: Drop, Reason: ReasonCancelled, Detail: rec.Detail}
}

// wake lets a recipient that fails all the time be tried at once.
func (e *Engine) wake(id string) {
	e.mu.Lock()
	l := e.lanes[id]
	e.mu.Unlock()
	if l != nil {
		l.breaker.spared()
	}
}
