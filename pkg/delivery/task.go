package delivery

import (
	"math/rand/v2"
	"sync"
	"time"

	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/recipient"
)

// task is a message in hand and what is known of its delivery.
type task struct {
	Message
	d *Delivery
	// made is how many attempts are recorded, attempted when the last one was; zero: none is known.
	made      int
	attempted time.Time
	// looked says that the log was asked; newest is then where the delivery's newest record stands in HISTORY, 0: it has none.
	looked bool
	newest uint64
	// through is the sequence up to which the recipients are known to be complete, if bounded; see Freshness.
	through uint64
	bounded bool
	// pass is what the breaker let the message through as.
	pass pass
	// sendNow says that the next attempt was asked for by hand.
	sendNow bool
	// undecided, if set, waits until it is known whether the message is attempted now.
	undecided *sync.WaitGroup
}

// newTask takes a message in hand.
func newTask(m Message, undecided *sync.WaitGroup) *task {
	if undecided != nil {
		undecided.Add(1)
	}
	return &task{Message: m, undecided: undecided}
}

// delivery is that of a message, before its first attempt.
func (m *Message) delivery(r *recipient.Recipient) *Delivery {
	return &Delivery{
		Event: m.Event, ReplayID: m.ReplayID, Test: m.Test, Actor: m.Actor, Accepted: m.Stored, Attempt: 1, TraceParent: m.TraceParent,
		Recipient: r, Lease: m.Lease,
	}
}

// resumed takes over what the delivery's newest record says of its attempts.
func (t *task) resumed(rec Record) {
	d := t.d
	t.made, t.sendNow = rec.Attempt, rec.Reason == reasons.SendNow
	d.Number = rec.Number
	d.Attempt, d.Progress = rec.Attempt+1, rec.Progress
	if rec.LastAttempt != nil {
		t.attempted = *rec.LastAttempt
	}
	if rec.FirstAttempt != nil {
		d.FirstAttempt = *rec.FirstAttempt
	}
}

// decide says that it is known whether the message is attempted now.
func (t *task) decide() {
	if t.undecided != nil {
		t.undecided.Done()
		t.undecided = nil
	}
}

// candidate is what a breaker is to know of an attempt.
func (t *task) candidate() candidate {
	fresh := t.d.Attempt == 1
	return candidate{sequence: t.Sequence, fresh: fresh, handed: t.HandedOut > 1, asked: t.sendNow || fresh && (t.Test || t.Expedited)}
}

// adopt takes over what was done to a delivery by hand. It returns a Drop if it was cancelled.
func (d *Delivery) adopt(rec Record) *Verdict {
	if rec.Extended != nil {
		d.Extended = *rec.Extended
	}
	if !rec.CancelAsked {
		return nil
	}
	return &Verdict{Kind: Drop, Reason: reasons.Cancelled, Detail: rec.Detail}
}

// rejudge says what an attempt comes to by a record that somebody else made meanwhile. A success stands whatever was asked for, and so
// does a refusal for good.
func (d *Delivery) rejudge(judged Verdict, rec Record, now time.Time) Verdict {
	ended := d.adopt(rec)
	if judged.Kind == Retry && ended != nil {
		d.Actor = rec.Actor
		return *ended
	}
	return bound(judged, d, now, rand.Float64()*2-1)
}
