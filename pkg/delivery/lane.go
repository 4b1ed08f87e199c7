package delivery

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

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

// lane is one recipient's way through this process: its puller and its workers.
type lane struct {
	e  *Engine
	id string
	// take ends when nothing more is to be taken, send when attempts under way must end.
	take, send context.Context
	stop       context.CancelFunc
	slots      *slots
	jobs       chan *task
	breaker    *breaker
	revision   uint64 // of the recipient, as reconcile saw it last
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

func newLane(ctx, send context.Context, e *Engine, r *recipient.Recipient) *lane {
	l := &lane{
		e: e, id: r.ID, revision: r.Revision, slots: newSlots(e.width(r)), send: send, jobs: make(chan *task), breaker: newBreaker(),
		busy: map[uint64]struct{}{}, delayed: map[uint64]delayed{},
	}
	l.take, l.stop = context.WithCancel(ctx)
	return l
}

// run pulls until the lane is stopped, then waits until nothing is in hand any more.
func (l *lane) run() {
	defer l.e.work.Done()
	defer l.e.closed(l)
	defer l.late.Wait()
	defer l.stop()
	var workers sync.WaitGroup
	defer workers.Wait()
	defer close(l.jobs)
	for l.take.Err() == nil {
		p, err := l.e.o.Queue.Open(l.take, l.e.o.Channel, l.id)
		if err != nil {
			l.pause(openAgain)
			continue
		}
		for err == nil && l.take.Err() == nil {
			err = l.pull(p, &workers)
		}
		p.Close()
		if err != nil {
			l.pause(openAgain)
		}
	}
}

func (l *lane) pause(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-l.take.Done():
	}
}

// await waits for a free slot and takes at most n: false if the lane is stopped.
func (l *lane) await(n int) (taken int, ok bool) {
	for {
		if taken = l.slots.take(n); taken > 0 {
			return taken, true
		}
		select {
		case <-l.slots.freed:
		case <-l.take.Done():
			return 0, false
		}
	}
}

// gather takes more free slots, up to n, and waits a moment for them: where attempts are short, they come in no time, and each
// request costs the broker as much as a message does.
func (l *lane) gather(n int) (taken int) {
	var over <-chan time.Time
	for {
		if taken += l.slots.take(n - taken); taken >= n {
			return taken
		}
		if over == nil {
			t := time.NewTimer(gatherWait)
			defer t.Stop()
			over = t.C
		}
		select {
		case <-l.slots.freed:
		case <-over:
			return taken
		case <-l.take.Done():
			return taken
		}
	}
}

// pull asks for as many messages as there are free slots, so that none waits in this process behind another; while the breaker is
// open, for as many as it lets be taken, and waits until these are decided.
func (l *lane) pull(p Puller, workers *sync.WaitGroup) error {
	width := l.slots.total()
	may, wait, open := l.breaker.enter(width, l.interval(), time.Now())
	if may == 0 {
		l.awaitProbe(wait)
		return nil
	}
	n, ok := l.await(1)
	if !ok {
		return nil
	}
	n += l.gather(min(may, max(1, width/pullShare)) - n)
	n += l.slots.take(may - n)
	asked, came := n, 0
	var undecided *sync.WaitGroup
	if open {
		undecided = &sync.WaitGroup{}
	}
	err := p.Pull(l.take, n, pullWait, func(m Message) {
		came++
		if came > asked {
			l.slots.force()
		}
		if l.begin(m.Sequence) {
			l.dispatch(newTask(m, undecided), workers)
		} else {
			l.slots.giveBack()
		}
	})
	for ; came < n; n-- {
		l.slots.giveBack()
	}
	if open {
		undecided.Wait()
		if l.breaker.swept(asked, came) {
			l.forgetOverdue(time.Now())
		}
	}
	return err
}

// revise lets a recipient that was changed be tried at once, for the change may be what mends it.
func (l *lane) revise(revision uint64) {
	if l.revision != revision {
		l.revision = revision
		l.hasten()
	}
}

// hasten has a recipient that fails all the time be probed at once, and what was put back come again.
func (l *lane) hasten() {
	if l.breaker.hasten(l.interval(), time.Now()) {
		l.redeliver(nil)
	}
}

// want has messages looked for and attempted though the recipient fails all the time.
func (l *lane) want(sequences []uint64) {
	if l.breaker.want(sequences) {
		l.redeliver(sequences)
	}
}

// note tells the breaker of an attempt. If it closes, what was put back comes again.
func (l *lane) note(a attempted, interval time.Duration) {
	if l.breaker.note(a, interval, time.Now()) {
		l.redeliver(nil)
	}
}

// interval is the recipient's retry interval as it is now.
func (l *lane) interval() time.Duration {
	if r, ok := l.e.o.Recipients.Recipient(l.id); ok {
		return r.Retry.Interval
	}
	return openAgain
}

// awaitProbe waits until the breaker lets a probe through, or has changed.
func (l *lane) awaitProbe(wait time.Duration) {
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
	case <-l.breaker.changed:
	case <-l.take.Done():
	}
}

// dispatch gives a message to a worker that waits, or to a new one. There are never more workers than slots, but a stray
// message of an earlier request may make one more for its time.
func (l *lane) dispatch(t *task, workers *sync.WaitGroup) {
	select {
	case l.jobs <- t:
		return
	default:
	}
	workers.Add(1)
	go func() {
		defer workers.Done()
		idle := time.NewTimer(idleWorker)
		defer idle.Stop()
		for {
			l.e.handle(l, t)
			l.slots.giveBack()
			idle.Reset(idleWorker)
			var ok bool
			select {
			case t, ok = <-l.jobs:
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
func (l *lane) begin(seq uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, there := l.busy[seq]; there {
		return false
	}
	l.busy[seq] = struct{}{}
	delete(l.delayed, seq)
	return true
}

// release forgets a sequence.
func (l *lane) release(seq uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.busy, seq)
}

// settle settles a message and forgets it. If that fails the broker hands it out again, and the log decides then.
func (l *lane) settle(m Message, act func() error) {
	l.release(m.Sequence)
	_ = act()
}

// delay puts a message back because the breaker is open.
func (l *lane) delay(m Message, wait time.Duration) {
	l.mu.Lock()
	delete(l.busy, m.Sequence)
	l.delayed[m.Sequence] = delayed{settler: m.Settler, until: time.Now().Add(wait)}
	_ = m.Settler.Later(wait)
	l.mu.Unlock()
	if l.breaker.wants(m.Sequence) { // asked for since it was judged
		l.redeliver([]uint64{m.Sequence})
	}
}

// forgetOverdue forgets what was put back and has come to another sender since.
func (l *lane) forgetOverdue(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	maps.DeleteFunc(l.delayed, func(_ uint64, x delayed) bool { return now.After(x.until) })
}

// soon is how long before its end a wait is no longer cut short: the message may be in a sender's hands already. A broker that was
// killed ends waits up to a second early.
const soon = time.Second

// redeliver has messages that were put back, and of which sequences names some, handed out at once; nil: all.
func (l *lane) redeliver(sequences []uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if sequences == nil {
		sequences = slices.Collect(maps.Keys(l.delayed))
	}
	for _, seq := range sequences {
		if x, ok := l.delayed[seq]; ok && time.Until(x.until) > soon {
			_ = x.settler.Later(minWait)
		}
		delete(l.delayed, seq)
	}
}
