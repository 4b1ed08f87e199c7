package delivery

import (
	"errors"
	"time"
)

// recordAgain is the pause before a record that could not be stored is tried again.
const recordAgain = time.Second

// record hands the record of a verdict to the log and settles the message once it is stored: record first, settle after. It
// blocks only while the window is full.
func (e *Engine) record(l *lane, m Message, d *Delivery, o Outcome, v Verdict) {
	e.window <- struct{}{}
	e.late.Add(1)
	rec := e.newRecord(m, d, o, v)
	var store func()
	store = func() {
		e.o.Log.AppendAttempt(rec, func(err error) {
			switch {
			case err == nil:
				l.settle(m, settlement(m, rec))
			case errors.Is(err, ErrAlreadyRecorded):
				// Another sender's record of this attempt stands. The message comes back and is settled by it.
				l.settle(m, func() error { return m.Settler.Later(recordAgain) })
			case l.send.Err() == nil && !e.silent():
				// The broker is away. Until it is back nothing else can be recorded either, so this one is kept.
				time.AfterFunc(recordAgain, store)
				return
			default:
				l.release(m.Sequence)
			}
			<-e.window
			e.late.Done()
		})
	}
	store()
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
func settlement(m Message, rec Record) func() error {
	if rec.NextAttempt == nil {
		return m.Settler.Ack
	}
	return func() error { return m.Settler.Later(max(time.Until(*rec.NextAttempt), minWait)) }
}

func (e *Engine) newRecord(m Message, d *Delivery, o Outcome, v Verdict) Record {
	rec := Record{
		Recipient: d.Recipient.ID, Channel: string(e.o.Channel), EventID: d.Event.ID, Appliance: d.Event.Appliance, Type: d.Event.Type,
		Session: d.Event.Session, ExternalKey: d.Event.ExternalKey, ReplayID: d.ReplayID, Test: d.Test, Actor: d.Actor, Sequence: m.Sequence,
		State: stateOf(v), Reason: v.Reason, Detail: v.Detail, Attempt: d.Attempt, Revision: d.Recipient.Revision,
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
	if v.Kind == Retry {
		next := time.Now().Add(v.After)
		rec.NextAttempt = &next
	}
	return rec
}
