package delivery

import (
	"context"
	"fmt"
	"time"

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
		if end := number(w, t); end != nil {
			return end
		}
		return leave(v)
	}
	if rec.NextAttempt != nil && emptied(d.Recipient, t.Sequence) == nil {
		if rest := rec.NextAttempt.Sub(e.o.Now()); rest > 0 {
			return leave(&Verdict{Kind: Postpone, Reason: reasons.NotDue, After: rest})
		}
	}
	return nil
}

const (
	// numberWait is how long a message waits for its number in the worker's hands, numberAgain its delay then. Numbers are counted as fast
	// as messages are handed out, so that one waits longer only behind a backlog at the start of a sender.
	numberWait  = 2 * time.Second
	numberAgain = time.Second
)

// number gives a delivery its number, unless its record has it. A replay has that of the event's first delivery, as it is recorded; a test
// has none. What leaves without an attempt, as skipped, has a number too.
func number(w *recipientWorker, t *task) *leaving {
	e := w.e
	if e.o.Numbers == nil || t.Test || t.d.Number > 0 {
		return nil
	}
	var err error
	if t.ReplayID == "" {
		ctx, cancel := context.WithTimeout(w.send, numberWait)
		defer cancel()
		t.d.Number, err = e.o.Numbers.Number(ctx, w.id, t.Sequence)
	} else {
		ctx, cancel := context.WithTimeout(w.send, startWait)
		defer cancel()
		var first Record
		first, _, err = e.o.Log.Latest(ctx, w.id, t.Event, "")
		t.d.Number = first.Number
	}
	if err != nil {
		return leave(&Verdict{Kind: Postpone, Reason: reasons.NoNumber, Detail: err.Error(), After: numberAgain})
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
