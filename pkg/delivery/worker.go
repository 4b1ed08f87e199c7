package delivery

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/outbound-events/outbound/pkg/delivery/slots"
	"github.com/outbound-events/outbound/pkg/pause"
	"github.com/outbound-events/outbound/pkg/recipient"
)

// openAgain is the pause before a consumer that could not be opened or pulled is tried again.
const openAgain = 500 * time.Millisecond

// idleWorker is how long a worker without work stays.
const idleWorker = 30 * time.Second

// A request for messages waits until this share of a recipient's slots is free, but not longer than gatherWait.
const (
	pullShare  = 4
	gatherWait = time.Millisecond
)

// recipientWorker is one recipient's way through this process: its puller and its workers.
type recipientWorker struct {
	e  *Engine
	id string
	// take ends when nothing more is to be taken, send when attempts under way must end.
	take, send context.Context
	stop       context.CancelFunc
	inHand     *slots.InHand
	share      *slots.Share // of the slots of the process
	jobs       chan *task
	breaker    *breaker
	asked      *asked
	revision   uint64 // of the recipient, as reconcile saw it last
	window     window
	// late are the records on their way.
	late sync.WaitGroup

	mu sync.Mutex
	// busy holds the sequences that are taken or not settled yet: a message handed out again meanwhile is left alone, so
	// that a late acknowledgement never leads to a second send from this process.
	busy map[uint64]struct{}
	// delayed are the messages that were put back because the breaker is open.
	delayed map[uint64]delayed
}

// delayed is a message that was put back, and until when.
type delayed struct {
	settler Settler
	until   time.Time
}

func newRecipientWorker(ctx, send context.Context, e *Engine, r *recipient.Recipient) *recipientWorker {
	w := &recipientWorker{
		e: e, id: r.ID, revision: r.Revision, inHand: slots.NewInHand(e.width(r), e.slots.Limit), share: &slots.Share{}, send: send,
		jobs: make(chan *task), breaker: newBreaker(), asked: newAsked(),
		busy: map[uint64]struct{}{}, delayed: map[uint64]delayed{},
	}
	w.take, w.stop = context.WithCancel(ctx)
	return w
}

// run pulls until the recipient worker is stopped, then waits until nothing is in hand any more.
func (w *recipientWorker) run() {
	defer w.e.work.Done()
	defer w.e.closed(w)
	defer w.late.Wait()
	defer w.stop()
	var workers sync.WaitGroup
	defer workers.Wait()
	defer close(w.jobs)
	for w.take.Err() == nil {
		p, err := w.e.o.Queue.Open(w.take, w.e.o.Channel, w.id)
		if err != nil {
			w.pause(openAgain)
			continue
		}
		for err == nil && w.take.Err() == nil {
			err = w.pull(p, &workers)
		}
		p.Close()
		if err != nil {
			w.pause(openAgain)
		}
	}
}

func (w *recipientWorker) pause(d time.Duration) {
	pause.For(w.take, d)
}

// await waits for a free slot and takes at most n: false if the recipient worker is stopped.
func (w *recipientWorker) await(n int) (taken int, ok bool) {
	for {
		if taken = w.inHand.Take(n); taken > 0 {
			return taken, true
		}
		select {
		case <-w.inHand.Freed():
		case <-w.take.Done():
			return 0, false
		}
	}
}

// gather takes more free slots, up to n, and waits a moment for them: where attempts are short, they come in no time, and each
// request costs the broker as much as a message does.
func (w *recipientWorker) gather(n int) (taken int) {
	var over <-chan time.Time
	for {
		if taken += w.inHand.Take(n - taken); taken >= n {
			return taken
		}
		if over == nil {
			t := time.NewTimer(gatherWait)
			defer t.Stop()
			over = t.C
		}
		select {
		case <-w.inHand.Freed():
		case <-over:
			return taken
		case <-w.take.Done():
			return taken
		}
	}
}

// pull asks for as many messages as there are free slots, so that none waits in this process behind another; while the breaker is
// open, for as many as it lets be taken, and waits until these are decided.
func (w *recipientWorker) pull(p Puller, workers *sync.WaitGroup) error {
	if !w.e.storable() {
		w.pause(openAgain)
		return nil
	}
	width := w.inHand.Width()
	may, wait, open := w.enter(width)
	if may == 0 {
		w.awaitProbe(wait)
		return nil
	}
	n, ok := w.await(1)
	if !ok {
		return nil
	}
	n += w.gather(min(may, max(1, width/pullShare)) - n)
	n += w.inHand.Take(may - n)
	asked, came := n, 0
	var undecided *sync.WaitGroup
	if open {
		undecided = &sync.WaitGroup{}
	}
	err := p.Pull(w.take, n, pullWait, func(m Message) {
		came++
		if came > asked {
			w.inHand.Force()
		}
		if w.e.o.Numbers != nil {
			w.e.o.Numbers.Offer(m)
		}
		if w.begin(m.Sequence) {
			w.dispatch(newTask(m, undecided), workers)
		} else {
			w.inHand.GiveBack()
		}
	})
	for ; came < n; n-- {
		w.inHand.GiveBack()
	}
	if !open {
		w.breaker.gate.GiveBack(max(0, may-came))
	}
	if open {
		undecided.Wait()
		if w.breaker.swept(asked, came) {
			w.forgetOverdue(time.Now())
		}
	}
	return err
}

// enter says how many messages may be taken now, by the maintenance windows, the breaker, and the rate of a recipient that was paused.
func (w *recipientWorker) enter(width int) (may int, wait time.Duration, open bool) {
	now := time.Now()
	if r, ok := w.e.o.Recipients.Recipient(w.id); ok {
		if rest := w.held(r); rest > 0 {
			return w.enterHeld(r, width), min(rest, heldTick), true
		}
	}
	w.leaveHeld()
	if may, wait, open = w.breaker.enter(width, w.interval(), now); may > 0 && !open {
		may, wait = w.breaker.gate.Take(may, now)
	}
	return may, wait, open
}

// revise lets a recipient that was changed be tried at once, for the change may be what mends it.
func (w *recipientWorker) revise(revision uint64) {
	if w.revision != revision {
		w.revision = revision
		if w.breaker.gate.Lift(time.Now()) {
			w.e.pauses.Forget(&w.e.work, w.id)
			w.redeliver(nil)
			w.breaker.signal()
		}
		w.hasten()
	}
}

// adopt keeps to a pause that another sender was asked for, or this one before it was started; r is the recipient as it is now.
func (w *recipientWorker) adopt(r *recipient.Recipient) {
	if d := w.e.pauses.Of(r); d > 0 {
		w.breaker.gate.Pause(d, time.Now())
		w.breaker.signal()
	}
}

// hasten has a recipient that fails all the time be probed at once, and what was put back come again.
func (w *recipientWorker) hasten() {
	if w.breaker.hasten(w.interval(), time.Now()) {
		w.redeliver(nil)
	}
}

// want has messages looked for though the recipient fails all the time or is in maintenance, and attempted if somebody asked for that.
func (w *recipientWorker) want(sequences []uint64) {
	if r, ok := w.e.o.Recipients.Recipient(w.id); ok && w.held(r) > 0 {
		w.breaker.demand(sequences)
		w.redeliver(sequences)
	} else if w.breaker.want(sequences, time.Now()) {
		w.redeliver(sequences)
	}
}

// note tells the breaker of an attempt, and the other senders of a pause. If the breaker closes or a pause has ended, what was put back
// comes again.
func (w *recipientWorker) note(a attempted, r *recipient.Recipient) {
	now := time.Now()
	closed := w.breaker.note(a, r.Retry.Interval, now)
	if d := a.verdict.Pause; a.verdict.Kind == Retry && d > 0 {
		if w.breaker.gate.Pause(d, now) {
			w.e.pauses.Pause(&w.late, r, d)
		}
		return
	}
	success := a.verdict.Kind == Delivered || a.outcome.Accepted
	if w.breaker.gate.Ended(success, now.Add(-a.outcome.Took), now) {
		w.e.pauses.Forget(&w.late, w.id)
		closed = true
	}
	w.breaker.signal()
	if closed {
		w.redeliver(nil)
	}
}

// interval is the recipient's retry interval as it is now.
func (w *recipientWorker) interval() time.Duration {
	if r, ok := w.e.o.Recipients.Recipient(w.id); ok {
		return r.Retry.Interval
	}
	return openAgain
}

// awaitProbe waits until the breaker lets a probe through, or has changed.
func (w *recipientWorker) awaitProbe(wait time.Duration) {
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
	case <-w.breaker.changed:
	case <-w.take.Done():
	}
}

// dispatch gives a message to a worker that waits, or to a new one. There are never more workers than slots, but a stray
// message of an earlier request may make one more for its time.
func (w *recipientWorker) dispatch(t *task, workers *sync.WaitGroup) {
	select {
	case w.jobs <- t:
		return
	default:
	}
	workers.Add(1)
	go func() {
		defer workers.Done()
		idle := time.NewTimer(idleWorker)
		defer idle.Stop()
		for {
			w.e.handle(w, t)
			w.inHand.GiveBack()
			idle.Reset(idleWorker)
			var ok bool
			select {
			case t, ok = <-w.jobs:
				if !ok {
					return
				}
			case <-idle.C:
				return
			}
		}
	}()
}

// begin marks a sequence as taken; false if it is already.
func (w *recipientWorker) begin(seq uint64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, there := w.busy[seq]; there {
		return false
	}
	w.busy[seq] = struct{}{}
	delete(w.delayed, seq)
	return true
}

// release forgets a sequence.
func (w *recipientWorker) release(seq uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.busy, seq)
}

// settle settles a message and forgets it. If that fails the broker hands it out again, and the log decides then.
func (w *recipientWorker) settle(m Message, act func() error) {
	w.release(m.Sequence)
	_ = act()
}

// delay puts a message back because the breaker is open.
func (w *recipientWorker) delay(m Message, wait time.Duration) {
	w.mu.Lock()
	delete(w.busy, m.Sequence)
	w.delayed[m.Sequence] = delayed{settler: m.Settler, until: time.Now().Add(wait)}
	_ = m.putBack(wait)
	w.mu.Unlock()
	if w.breaker.wants(m.Sequence) { // asked for since it was judged
		w.redeliver([]uint64{m.Sequence})
	}
}

// forgetOverdue forgets what was put back and has come to another sender since.
func (w *recipientWorker) forgetOverdue(now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	maps.DeleteFunc(w.delayed, func(_ uint64, x delayed) bool { return now.After(x.until) })
}

// soon is how long before its end a wait is no longer cut short: the message may be in a sender's hands already. A broker that was
// killed ends waits up to a second early.
const soon = time.Second

// redeliver has messages that were put back, and of which sequences names some, handed out at once; nil: all.
func (w *recipientWorker) redeliver(sequences []uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if sequences == nil {
		sequences = slices.Collect(maps.Keys(w.delayed))
	}
	for _, seq := range sequences {
		// Both clocks count: it may have come to another sender while this process or the machine stood still.
		if x, ok := w.delayed[seq]; ok && min(time.Until(x.until), time.Until(x.until.Round(0))) > soon {
			_ = x.settler.NakWithDelay(minWait)
		}
		delete(w.delayed, seq)
	}
}
