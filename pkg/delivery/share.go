package delivery

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// slotPool shares the slots of the process between recipients. A free slot goes to the recipient with the fewest attempts under way, and
// among these to the one that has waited longest since it got one: an event of a recipient that has nothing else to do does not wait
// behind the backlogs of others. A recipient gets no more than are left free, as in the dynamic thresholds of switches that share a
// buffer (Choudhury and Hahne, 1998): however many recipients hang, another one finds a slot.
type slotPool struct {
	total int

	mu      sync.Mutex
	free    int
	turn    uint64
	waiting []*share // those with a queue
	// active counts recipients with attempts under way or in the queue, crowded those with a queue.
	active, crowded atomic.Int64
}

// share is a recipient's part of the slots.
type share struct {
	used  int
	turn  uint64 // when it got one last
	queue []*slotWait
}

// slotWait is one attempt that waits.
type slotWait struct{ got chan struct{} }

func newSlotPool(total int) *slotPool { return &slotPool{total: total, free: total} }

// acquire takes a slot, waiting for it no longer than the given time and until stop is closed. It reports whether it has one.
func (p *slotPool) acquire(s *share, wait time.Duration, stop <-chan struct{}) bool {
	p.mu.Lock()
	if len(p.waiting) == 0 && p.may(s) {
		p.give(s)
		p.mu.Unlock()
		return true
	}
	w := p.join(s)
	p.mu.Unlock()
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-w.got:
		return true
	case <-t.C:
	case <-stop:
	}
	return p.leave(s, w)
}

// release gives a slot back.
func (p *slotPool) release(s *share) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.used--
	p.free++
	p.idle(s)
	p.hand()
}

// inHand is how many messages a recipient is to have in hand at most: while others wait for slots, little more than what it will get, so that
// what waits in this process is bounded.
func (p *slotPool) inHand() int {
	if p.crowded.Load() == 0 {
		return p.total
	}
	return max(2, 2*p.total/int(max(1, p.active.Load())))
}

func (p *slotPool) may(s *share) bool { return p.free > 0 && (s.used == 0 || s.used < p.free) }

func (p *slotPool) give(s *share) {
	if s.used == 0 && len(s.queue) == 0 {
		p.active.Add(1)
	}
	p.turn++
	p.free--
	s.used, s.turn = s.used+1, p.turn
}

// idle forgets a recipient that has nothing under way and nothing in the queue.
func (p *slotPool) idle(s *share) {
	if s.used == 0 && len(s.queue) == 0 {
		p.active.Add(-1)
	}
}

func (p *slotPool) join(s *share) *slotWait {
	w := &slotWait{got: make(chan struct{})}
	if s.used == 0 && len(s.queue) == 0 {
		p.active.Add(1)
	}
	if len(s.queue) == 0 {
		p.waiting = append(p.waiting, s)
	}
	s.queue = append(s.queue, w)
	p.hand()
	p.crowded.Store(int64(len(p.waiting)))
	return w
}

// leave ends a wait, and reports whether it had got its slot.
func (p *slotPool) leave(s *share, w *slotWait) (got bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.Index(s.queue, w)
	if i < 0 {
		return true
	}
	s.queue = slices.Delete(s.queue, i, i+1)
	p.unqueue(s)
	p.idle(s)
	return false
}

// unqueue forgets that a recipient waits, once it does not.
func (p *slotPool) unqueue(s *share) {
	if len(s.queue) == 0 {
		i := slices.Index(p.waiting, s)
		p.waiting = slices.Delete(p.waiting, i, i+1)
		p.crowded.Store(int64(len(p.waiting)))
	}
}

// hand gives what is free to those that wait.
func (p *slotPool) hand() {
	for p.free > 0 {
		var next *share
		for _, s := range p.waiting {
			if p.may(s) && (next == nil || s.used < next.used || s.used == next.used && s.turn < next.turn) {
				next = s
			}
		}
		if next == nil {
			return
		}
		w := next.queue[0]
		p.give(next)
		next.queue = slices.Delete(next.queue, 0, 1)
		p.unqueue(next)
		close(w.got)
	}
}
