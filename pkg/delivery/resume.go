package delivery

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/outbound-events/outbound/pkg/delivery/reasons"
)

// resume asks the log what became of a message that may have been handed out before. Nothing is sent if the delivery is final, if the log
// can't be asked, or if the next attempt is not due.
func (e *Engine) resume(w *recipientWorker, t *task) *leaving {
	if t.HandedOut <= 1 && t.Stored.After(e.o.Since()) && (e.o.Pulled == nil || t.Sequence > e.o.Pulled(w.id)) {
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
			return leave(&Verdict{Kind: Postpone, Reason: reasons.NotDue, After: w.asked.rest(&t.Message, rest, time.Now())})
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
		w.asked.note(sequences, time.Now())
		w.want(sequences)
	default:
		w.hasten()
	}
}

const (
	// askedWithin is for how long a copy of the log may be behind what somebody asked for, askedAgain after which time it is read again.
	askedWithin = 10 * time.Second
	askedAgain  = 300 * time.Millisecond
	// maxAsked bounds what is remembered of a recipient.
	maxAsked = 10_000
)

// asked remembers which messages somebody has asked to be attempted now, and which came before they were due. On a cluster of brokers the
// copy of the log that is read may be behind, and not tell yet that a message is due that comes because it was asked for.
type asked struct {
	mu    sync.Mutex
	since map[uint64]time.Time
	early map[uint64]earlyMessage
	// tidied is when what was long ago was forgotten last.
	tidied time.Time
}

// earlyMessage is a message that came before it was due, and was put back.
type earlyMessage struct {
	settler Settler
	came    time.Time
	rest    time.Duration
}

func newAsked() *asked {
	return &asked{since: map[uint64]time.Time{}, early: map[uint64]earlyMessage{}}
}

// rest is for how long a message is put back that is due after a time, by the log: only shortly if somebody has asked for it.
func (a *asked) rest(m *Message, rest time.Duration, now time.Time) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	if at, ok := a.since[m.Sequence]; ok && now.Sub(at) < askedWithin {
		return min(rest, askedAgain)
	}
	if a.tidy(now); len(a.early) < maxAsked {
		a.early[m.Sequence] = earlyMessage{settler: m.Settler, came: now, rest: rest}
	}
	return rest
}

// note notes that messages are asked for. Those that came a moment ago come again.
func (a *asked) note(sequences []uint64, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.tidy(now)
	for _, seq := range sequences {
		if len(a.since) < maxAsked {
			a.since[seq] = now
		}
		if m, ok := a.early[seq]; ok && m.rest > askedWithin+soon && now.Sub(m.came) < askedWithin {
			_ = m.settler.NakWithDelay(askedAgain)
		}
		delete(a.early, seq)
	}
}

// tidy forgets what was long ago. The caller holds mu.
func (a *asked) tidy(now time.Time) {
	if now.Sub(a.tidied) < time.Second {
		return
	}
	a.tidied = now
	maps.DeleteFunc(a.since, func(_ uint64, at time.Time) bool { return now.Sub(at) >= askedWithin })
	maps.DeleteFunc(a.early, func(_ uint64, m earlyMessage) bool { return now.Sub(m.came) >= askedWithin })
}
