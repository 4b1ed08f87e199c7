package delivery

import (
	"context"
	"fmt"

	"github.com/outbound-events/outbound/pkg/delivery/reasons"
)

// resume asks the log what became of a message that may have been handed out before. Nothing is sent if the delivery is final, if the log
// can't be asked, or if the next attempt is not due.
func (e *Engine) resume(w *recipientWorker, t *task) *leaving {
	if t.HandedOut <= 1 && t.Stored.After(e.o.Since()) {
		return nil
	}
	rec, at, err := e.latest(w, t)
	if err != nil {
		v := Verdict{Kind: Postpone, Reason: reasons.NoRecord, Detail: fmt.Sprintf("the delivery log can't be read: %v", err), After: startWait}
		return leave(&v)
	}
	t.looked, t.newest = true, at
	if at == 0 {
		return nil
	}
	if rec.State.Final() {
		return &leaving{way: known}
	}
	t.resumed(rec)
	d := t.d
	if v := d.adopt(rec); v != nil {
		d.Actor = rec.Actor
		return leave(v)
	}
	if rec.NextAttempt != nil && emptied(d.Recipient, t.Sequence) == nil {
		if rest := rec.NextAttempt.Sub(e.o.Now()); rest > 0 {
			return leave(&Verdict{Kind: Postpone, Reason: reasons.NotDue, After: rest})
		}
	}
	return nil
}

// latest is the newest record of a delivery.
func (e *Engine) latest(w *recipientWorker, t *task) (Record, uint64, error) {
	ctx, cancel := context.WithTimeout(w.send, startWait)
	defer cancel()
	return e.o.Log.Latest(ctx, w.id, t.Event, t.ReplayID)
}

// lookAgain looks, before a delivery is given up after an attempt, whether somebody extended or cancelled it while that was under way. What
// this misses is found when the record is stored; it is looked up before that so that nobody is told of an end that is none.
func (e *Engine) lookAgain(w *recipientWorker, t *task, judged, v Verdict) Verdict {
	rec, at, err := e.latest(w, t)
	if err != nil || at == 0 || rec.State.Final() || rec.Attempt >= t.d.Attempt {
		return v
	}
	t.looked, t.newest = true, at
	return t.d.rejudge(judged, rec, e.o.Now())
}

// expedite has a recipient attempted at once although its breaker is open: the messages at some sequences, or whatever comes.
func (e *Engine) expedite(id string, sequences []uint64) {
	e.mu.Lock()
	w := e.workers[id]
	e.mu.Unlock()
	switch {
	case w == nil:
	case len(sequences) > 0:
		w.want(sequences)
	default:
		w.hasten()
	}
}
