package delivery

import (
	"errors"
	"time"

	"github.com/outbound-events/outbound/pkg/recipient"
)

// recordAgain is the pause before a record that could not be stored is tried again.
const recordAgain = time.Second

// result is what a delivery comes to: by an attempt, or without one, when the outcome is empty and nothing was judged.
type result struct {
	outcome Outcome
	// judged is the sender's verdict, verdict what it comes to within the retry duration.
	judged, verdict Verdict
}

// recording is a record on its way to the log.
type recording struct {
	e *Engine
	w *recipientWorker
	t *task
	result
	rec Record
}

// record hands the record of a verdict to the log and settles the message once it is stored: record first, settle after. It
// blocks only while the window is full.
func (e *Engine) record(w *recipientWorker, t *task, r result) {
	e.window <- struct{}{}
	w.late.Add(1)
	if t.Lease.Over() { // another sender may have recorded something, and the log forgets message ids
		t.looked = true
	}
	rec := &recording{e: e, w: w, t: t, result: r, rec: e.newRecord(t, r)}
	rec.store()
}

// store hands the record to the log. If the delivery was looked up, its newest record must still be the one that was found. A fresh
// one is protected by the message id alone.
func (w *recording) store() {
	if w.t.looked {
		w.e.o.Log.AppendAfter(w.rec, w.t.newest, w.stored)
	} else {
		w.e.o.Log.AppendAttempt(w.rec, w.stored)
	}
}

// stored acts on the answer of the log. It does not block.
func (w *recording) stored(err error) {
	switch {
	case err == nil:
		w.done(w.e.settlement(w.t.Message, w.rec))
	case errors.Is(err, ErrAlreadyRecorded):
		// Another sender's record of this attempt stands. The message comes back and is settled by it.
		w.done(w.after(recordAgain))
	case errors.Is(err, ErrConflict):
		go w.resolve() // owned by the recipient worker, which waits for its records
	default:
		// The broker is away. Until it is back nothing else can be recorded either, so this one is kept. The result may be unknown, and
		// the log forgets message ids after a while, so that the next one compares in any case: then it finds that it is stored.
		w.t.looked = true
		w.again(w.store)
	}
}

// again calls f after a while, or gives up if attempts must end.
func (w *recording) again(f func()) {
	if w.w.send.Err() != nil || w.e.silent() {
		w.w.release(w.t.Sequence)
		w.done(nil)
		return
	}
	time.AfterFunc(recordAgain, f)
}

// done settles the message, if that is asked for, and makes room.
func (w *recording) done(act func() error) {
	if act != nil {
		w.w.settle(w.t.Message, act)
	}
	<-w.e.window
	w.w.late.Done()
}

func (w *recording) after(wait time.Duration) func() error {
	return func() error { return w.t.putBack(wait) }
}

// resolve looks up what the log has recorded meanwhile, and goes by it.
func (w *recording) resolve() {
	newest, at, err := w.e.latest(w.w, w.t)
	switch {
	case err != nil:
		w.again(w.resolve)
	case w.t.looked && at == w.t.newest:
		w.again(w.store) // answered by a replica of the log that is behind
	case at == 0:
		w.t.looked, w.t.newest = true, 0 // the log dropped what it had
		w.store()
	case newest.same(w.rec):
		w.done(w.e.settlement(w.t.Message, w.rec))
	case newest.State.Final():
		w.done(w.t.Settler.Ack)
	case w.outcome.Began.IsZero():
		w.done(w.after(minWait)) // it was not attempted: it comes again and is judged by what the log holds now
	case newest.Attempt >= w.rec.Attempt && w.judged.Kind == Retry:
		w.done(w.after(recordAgain)) // another sender's record of an attempt stands
	default:
		w.rejudge(newest, at)
	}
}

// rejudge records what the attempt comes to after a record that somebody else made meanwhile.
func (w *recording) rejudge(newest Record, at uint64) {
	d, was := w.t.d, w.verdict
	d.Attempt = max(d.Attempt, newest.Attempt+1)
	w.verdict = d.rejudge(w.judged, newest, w.e.o.Now())
	w.rec = w.e.newRecord(w.t, w.result)
	w.t.looked, w.t.newest = true, at
	if was.Kind == Retry && w.verdict.Kind == Drop {
		w.e.o.Observer.Ended(Report{Delivery: d, Channel: w.e.o.Channel, Verdict: w.verdict, State: stateOf(w.verdict), Sequence: w.t.Sequence})
	}
	w.store()
}

// same reports whether two records tell of one attempt of one sender, or of one end without an attempt.
func (r *Record) same(o Record) bool {
	if r.Attempt != o.Attempt || r.State != o.State || (r.LastAttempt == nil) != (o.LastAttempt == nil) {
		return false
	}
	return r.LastAttempt == nil || r.LastAttempt.Equal(*o.LastAttempt)
}

// silent reports whether the process ends and the broker answers nothing.
func (e *Engine) silent() bool {
	select {
	case <-e.o.Silent:
		return true
	default:
		return false
	}
}

// settlement is how a message whose record is stored is settled.
func (e *Engine) settlement(m Message, rec Record) func() error {
	if rec.NextAttempt == nil {
		return m.Settler.Ack
	}
	return func() error { return m.putBack(max(rec.NextAttempt.Sub(e.o.Now()), minWait)) }
}

// newRecord is the record of a result.
func (e *Engine) newRecord(t *task, r result) Record {
	rec := newRecord(e.o.Channel, t, r)
	if r.verdict.Kind == Retry {
		next := e.o.Now().Add(r.verdict.After)
		rec.NextAttempt = &next
	}
	return rec
}

// newRecord is the record of a result, but for when the next attempt is due.
func newRecord(ch recipient.Channel, t *task, r result) Record {
	d, o, v := t.d, r.outcome, r.verdict
	rec := Record{
		Recipient: d.Recipient.ID, Channel: string(ch), EventID: d.Event.ID, Appliance: d.Event.Appliance, Type: d.Event.Type,
		Session: d.Event.Session, ExternalKey: d.Event.ExternalKey, ReplayID: d.ReplayID, Test: d.Test, Actor: d.Actor, Sequence: t.Sequence,
		Number: d.Number, State: stateOf(v), Reason: v.Reason, Detail: v.Detail, Attempt: d.Attempt, Revision: d.Recipient.Revision,
		Accepted: d.Accepted, Expire: d.Expire(), Progress: o.Progress,
	}
	first := d.FirstAttempt
	if !o.Began.IsZero() {
		rec.Status, rec.TookMicros = o.Status, o.Took.Microseconds()
		rec.Excerpt = o.Excerpt[:min(len(o.Excerpt), MaxExcerpt)]
		rec.LastAttempt = &o.Began
		if first.IsZero() {
			first = o.Began
		}
	}
	if !first.IsZero() {
		rec.FirstAttempt = &first
	}
	if !d.Extended.IsZero() {
		end := d.Extended
		rec.Extended = &end
	}
	return rec
}
