package delivery

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/outbound-events/outbound/pkg/delivery/lease"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/recipient"
)

// step takes a message one step further. It returns nil if the message goes on to the next step, else how it leaves the worker's hands.
type step func(w *recipientWorker, t *task) *leaving

// pipeline is the way of a message, from pull to settlement: nothing goes back.
func (e *Engine) pipeline() []step {
	return []step{
		e.decode, // a message that no version could have accepted ends here
		e.find,   // the recipient as it is now
		e.resume, // what the log knows of the delivery
		number,   // its number among the recipient's
		e.match,  // what the recipient selects
		e.filter, // and its filter
		maintain, // its maintenance windows
		e.expire, // its time, while the breaker is open or the recipient paused
		e.admit,  // breaker, pause, rate limit, slots
		e.send,   // one attempt, judged and bound by the retry duration
	}
}

// way is how a message leaves a worker's hands.
type way int

const (
	// terminated: it can't be read.
	terminated way = iota + 1
	// known: its delivery is recorded as final already.
	known
	// dropped: it ends without an attempt; recorded first.
	dropped
	// recorded: an attempt was made; recorded first.
	recorded
	// postponed: it comes again after a wait, without a record.
	postponed
	// returned: the same after an attempt that does not count.
	returned
	// putBack: it comes again for a probe, because the breaker is open.
	putBack
	// held: it is kept until the recipients that are known are as recent as the event.
	held
	// left: its lease is over. Another sender may have it, so that nothing is said of it.
	left
)

// leaving says how a message leaves a worker's hands, and why.
type leaving struct {
	way way
	result
}

// leave is a leaving by a verdict without an attempt: nil if there is none.
func leave(v *Verdict) *leaving {
	switch {
	case v == nil:
		return nil
	case v.Kind == Drop:
		return &leaving{dropped, result{verdict: *v}}
	default:
		return &leaving{postponed, result{verdict: *v}}
	}
}

// handle brings one message as far as it comes now. It returns when the slot is free again; the record and the settlement may follow.
func (e *Engine) handle(w *recipientWorker, t *task) {
	defer t.decide()
	for _, next := range e.steps {
		if end := next(w, t); end != nil {
			if end.way != recorded && end.way != returned {
				w.breaker.gate.GiveBack(1)
			}
			e.settle(w, t, *end)
			return
		}
	}
}

// settle tells of how a message leaves, and has it recorded and settled: record first, settle after. A message whose lease is over is
// left to whoever has it now, unless it was attempted.
func (e *Engine) settle(w *recipientWorker, t *task, end leaving) {
	if end.way != recorded && end.way != returned && end.way != known && t.Lease.Over() {
		end = leaving{left, result{verdict: overdue()}}
	}
	v := end.verdict
	switch end.way {
	case terminated:
		e.report(w, t, v)
		w.settle(t.Message, func() error { return t.Settler.Term(string(v.Reason)) })
	case known:
		w.settle(t.Message, t.Settler.Ack)
	case dropped:
		w.window.ended.Store(true)
		t.d.Attempt = t.made
		e.report(w, t, v)
		e.record(w, t, end.result)
	case recorded:
		e.record(w, t, end.result)
	case postponed:
		v.After = max(v.After, minWait)
		e.report(w, t, v)
		w.settle(t.Message, func() error { return t.putBack(v.After) })
	case returned:
		w.settle(t.Message, func() error { return t.putBack(v.After) })
	case putBack:
		e.report(w, t, v)
		w.delay(t.Message, v.After)
	case held:
		e.holder.hold(heldTask{w: w, t: t, v: v})
	case left:
		e.report(w, t, v)
		w.release(t.Sequence)
	}
}

// overdue is the verdict on a message whose lease is over.
func overdue() Verdict { return Verdict{Kind: Postpone, Reason: reasons.Overdue} }

// report tells of a message that leaves without an attempt.
func (e *Engine) report(w *recipientWorker, t *task, v Verdict) {
	rep := Report{Delivery: t.d, Channel: e.o.Channel, Verdict: v, Sequence: t.Sequence}
	switch v.Kind {
	case Postpone:
		rep.Next = e.o.Now().Add(v.After)
		rep.BreakerOpen = v.Reason == reasons.Breaker
	default:
		rep.State = stateOf(v)
		w.breaker.tell(&rep, e.o.Now())
	}
	e.o.Observer.Ended(rep)
}

func (e *Engine) decode(w *recipientWorker, t *task) *leaving {
	if t.Event == nil {
		t.d = &Delivery{Recipient: &recipient.Recipient{ID: w.id}, Accepted: t.Stored}
		v := Verdict{Kind: Drop, Reason: reasons.Unreadable, Detail: t.Unreadable.Error()}
		return &leaving{terminated, result{verdict: v}}
	}
	t.d = t.delivery(&recipient.Recipient{ID: w.id})
	return nil
}

// find looks up the recipient. How recent the recipients are is read before: what is found is at least as recent.
func (e *Engine) find(w *recipientWorker, t *task) *leaving {
	t.through, t.bounded = e.knownThrough()
	r, ok := e.o.Recipients.Recipient(w.id)
	if !ok {
		return leave(&Verdict{Kind: Postpone, Reason: reasons.Unknown, After: startWait})
	}
	t.d.Recipient = r
	return nil
}

func (e *Engine) match(_ *recipientWorker, t *task) *leaving {
	return t.selection(match(t.d.Recipient, t.Message))
}

// filter judges by the recipient's filter. A replay or test was asked for by name and passes.
func (e *Engine) filter(_ *recipientWorker, t *task) *leaving {
	if t.ReplayID != "" {
		return nil
	}
	return t.selection(filtered(t.d.Recipient, t.Event, e.o.Matches))
}

// selection is a leaving by what the recipient selects. It counts only if the recipient is known to be as recent as the event.
func (t *task) selection(v *Verdict) *leaving {
	if v != nil && ofSelection(*v) && t.bounded && t.Sequence > t.through {
		return &leaving{held, result{verdict: *v}}
	}
	return leave(v)
}

// expire ends a delivery whose time is over while the breaker is open: it ends with the recipient's last error, tried or not.
func (e *Engine) expire(w *recipientWorker, t *task) *leaving {
	if last, ends := w.breaker.ends(t.d.Attempt > 1, time.Now()); ends && !e.o.Now().Before(t.d.Expire()) {
		return leave(exhausted(t.d, last))
	}
	return nil
}

// admit waits for the recipient's turn and for a slot of the process. If the message goes on, the next step frees the slot.
func (e *Engine) admit(w *recipientWorker, t *task) *leaving {
	if !e.storable() {
		return leave(&Verdict{Kind: Postpone, Reason: reasons.NoRecord, Detail: "the delivery log can't be written", After: startWait})
	}
	p, wait := w.breaker.admit(t.candidate(), t.d.Recipient.Retry.Interval, time.Now())
	if p == 0 {
		return w.breaker.putBack(wait)
	}
	t.pass = p
	t.decide()
	if v := e.slot(w, t); v != nil {
		w.breaker.releaseProbe(p)
		return leave(v)
	}
	// A pause, or a maintenance window, may have begun while it waited.
	if rest := w.breaker.gate.Rest(time.Now()); rest > 0 && p != passAsked {
		e.slots.Release(w.share)
		w.breaker.releaseProbe(p)
		return w.breaker.putBack(rest)
	}
	held := maintain(w, t)
	if held != nil {
		e.slots.Release(w.share)
		w.breaker.releaseProbe(p)
	}
	return held
}

// attempt has the sender make one attempt, which ends with the message's lease, or keeps renewing it.
func (e *Engine) attempt(w *recipientWorker, t *task) (context.Context, Outcome) {
	limit := w.send
	if e.o.TouchEvery > 0 {
		defer lease.Touch(t.Settler, &t.Lease, e.o.TouchEvery)()
		t.d.Lease = t.Lease
	} else if left := t.Lease.Left(time.Now()); t.Lease.AckWait > 0 {
		var cancel context.CancelFunc
		limit, cancel = context.WithTimeout(w.send, left)
		defer cancel()
	}
	ctx := e.o.Observer.Begin(limit, t.d)
	return ctx, e.o.Sender.Send(ctx, t.d)
}

// storable reports whether records can be stored now, as far as is known.
func (e *Engine) storable() bool { return e.o.Storable == nil || e.o.Storable() == nil }

// send makes one attempt and says what came of it.
func (e *Engine) send(w *recipientWorker, t *task) *leaving {
	d := t.d
	if t.Lease.Over() {
		e.slots.Release(w.share)
		w.breaker.releaseProbe(t.pass)
		return &leaving{left, result{verdict: overdue()}}
	}
	ctx, out := e.attempt(w, t)
	judged := e.o.Sender.Judge(d, out)
	if out.Fault == FaultOverdue {
		judged = overdue()
	}
	e.slots.Release(w.share)
	now := e.o.Now()
	w.note(attempted{candidate: t.candidate(), pass: t.pass, outcome: out, verdict: judged}, d.Recipient)
	v := bound(judged, d, now, rand.Float64()*2-1)
	if v.Kind == Drop && v.Reason == reasons.Expired && d.Attempt > 1 {
		v = e.lookAgain(w, t, judged, v)
	}
	if v.Kind == Postpone {
		v.After = max(v.After, shutdownWait)
	}
	rep := Report{Delivery: d, Channel: e.o.Channel, Outcome: out, Verdict: v, State: stateOf(v), Sequence: t.Sequence}
	w.breaker.tell(&rep, now)
	if v.Kind == Retry || v.Kind == Postpone {
		rep.Next = now.Add(v.After)
	}
	e.o.Observer.End(ctx, rep)
	if v.Kind == Postpone {
		return &leaving{returned, result{verdict: v}}
	}
	return &leaving{recorded, result{outcome: out, judged: judged, verdict: v}}
}
