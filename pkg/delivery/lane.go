package delivery

import (
	"context"
	"sync"
	"time"

	"github.com/outbound-events/outbound/pkg/recipient"
)

// openAgain is the pause before a consumer that could not be opened or pulled is tried again.
const openAgain = 500 * time.Millisecond

// idleWorker is how long a worker without work stays.
const idleWorker = 30 * time.Second

// A request for messages waits until this share of a lane's slots is free, but not longer than gatherWait.
const (
	pullShare  = 4
	gatherWait = time.Millisecond
)

// lane is one recipient's way through this process: its puller and its workers.
type lane struct {
	e     *Engine
	id    string
	width int
	// take ends when nothing more is to be taken, send when attempts under way must end.
	take, send context.Context
	stop       context.CancelFunc
	free       chan struct{} // one token a free slot
	jobs       chan Message
	breaker    *breaker
	revision   uint64 // of the recipient, as reconcile saw it last

	mu sync.Mutex
	// busy holds the sequences that are taken or not settled yet: a message handed out again meanwhile is left alone, so
	// that a late acknowledgement never leads to a second send from this process.
	busy map[uint64]struct{}
}

func newLane(ctx, send context.Context, e *Engine, r *recipient.Recipient) *lane {
	l := &lane{e: e, id: r.ID, revision: r.Revision, width: e.width(r), send: send, jobs: make(chan Message), breaker: newBreaker(), busy: map[uint64]struct{}{}}
	l.take, l.stop = context.WithCancel(ctx)
	l.free = make(chan struct{}, l.width)
	for range l.width {
		l.giveBack()
	}
	return l
}

// run pulls until the lane is stopped, then waits for its workers.
func (l *lane) run() {
	defer l.e.work.Done()
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

// gather takes more free slots, up to n, and waits a moment for them: where attempts are short, they come in no time, and each
// request costs the broker as much as a message does.
func (l *lane) gather(n int) (taken int) {
	var over <-chan time.Time
	for taken < n {
		select {
		case <-l.free:
			taken++
			continue
		default:
		}
		if over == nil {
			t := time.NewTimer(gatherWait)
			defer t.Stop()
			over = t.C
		}
		select {
		case <-l.free:
			taken++
		case <-over:
			return taken
		case <-l.take.Done():
			return taken
		}
	}
	return taken
}

// pull asks for as many messages as there are free slots, so that none waits in this process behind another; while the
// breaker is open, for one at a time.
func (l *lane) pull(p Puller, workers *sync.WaitGroup) error {
	may, wait := l.breaker.enter(l.width, l.interval(), time.Now())
	if may == 0 {
		l.awaitProbe(wait)
		return nil
	}
	n := 0
	select {
	case <-l.free:
		n++
	case <-l.take.Done():
		return nil
	}
	n += l.gather(min(may, max(1, l.width/pullShare)) - n)
	for more := true; more && n < may; {
		select {
		case <-l.free:
			n++
		default:
			more = false
		}
	}
	err := p.Pull(l.take, n, pullWait, func(m Message) {
		n--
		if l.begin(m.Sequence) {
			l.dispatch(m, workers)
		} else {
			l.giveBack()
		}
	})
	for ; n > 0; n-- {
		l.giveBack()
	}
	return err
}

// revise lets a recipient that was changed be tried at once, for the change may be what mends it.
func (l *lane) revise(revision uint64) {
	if l.revision != revision {
		l.revision = revision
		l.breaker.spared()
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
func (l *lane) dispatch(m Message, workers *sync.WaitGroup) {
	select {
	case l.jobs <- m:
		return
	default:
	}
	workers.Add(1)
	go func() {
		defer workers.Done()
		idle := time.NewTimer(idleWorker)
		defer idle.Stop()
		for {
			l.e.handle(l, m)
			l.giveBack()
			idle.Reset(idleWorker)
			var ok bool
			select {
			case m, ok = <-l.jobs:
				if !ok {
					return
				}
			case <-idle.C:
				return
			}
		}
	}()
}

// giveBack frees a slot. A stray message took none.
func (l *lane) giveBack() {
	select {
	case l.free <- struct{}{}:
	default:
	}
}

// begin marks a sequence as taken; false if it is already.
func (l *lane) begin(seq uint64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, there := l.busy[seq]; there {
		return false
	}
	l.busy[seq] = struct{}{}
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
