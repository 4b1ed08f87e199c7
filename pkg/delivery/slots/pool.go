// Package slots bounds how many attempts run at once in a process, and shares them between recipients.
package slots

import (
	"slices"
	"sync"
	"time"
)

// Pool is the slots of a process. A free slot goes to the waiting recipient with the fewest attempts under way, and among these to the one
// that has waited longest since it got one last: an event of a recipient that has nothing else to do does not wait behind the backlogs
// of others.
//
// The last eighth of the slots is for recipients that have none, so that those that hang do not take all.
type Pool struct {
	total, reserve int

	mu   sync.Mutex
	free int
	turn uint64
	// active is how many recipients have a slot or wait for one, waiting which of them wait.
	active  int
	waiting []*Share
}

// New makes a pool of so many slots.
func New(total int) *Pool { return &Pool{total: total, reserve: total / 8, free: total} }

// Share is a recipient's part of a pool. The zero value has no slot.
type Share struct {
	used int
	// turn is when it got one last.
	turn  uint64
	queue []*wait
}

// wait is one attempt that waits; got is closed once it has its slot.
type wait struct{ got chan struct{} }

// Acquire takes a slot. It waits for one no longer than limit, and until stop is closed, and reports whether it has one.
func (p *Pool) Acquire(s *Share, limit time.Duration, stop <-chan struct{}) bool {
	w := p.join(s)
	select {
	case <-w.got:
		return true
	default:
	}
	t := time.NewTimer(limit)
	defer t.Stop()
	select {
	case <-w.got:
		return true
	case <-t.C:
	case <-stop:
	}
	return p.leave(s, w)
}

// Release gives a slot back.
func (p *Pool) Release(s *Share) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free++
	s.used--
	p.forget(s)
	p.hand()
}

// Limit is how many messages a recipient is to have in hand at most, 2 or more. While recipients wait for slots it is about twice what each
// gets, so that few messages wait in this process for longer than an attempt takes.
func (p *Pool) Limit() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.waiting) == 0 {
		return max(2, p.total)
	}
	return max(2, 2*p.total/p.active)
}

// join puts an attempt into its recipient's queue. If a slot is there for it, it has that at once.
func (p *Pool) join(s *Share) *wait {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s.used == 0 && len(s.queue) == 0 {
		p.active++
	}
	if len(s.queue) == 0 {
		p.waiting = append(p.waiting, s)
	}
	w := &wait{got: make(chan struct{})}
	s.queue = append(s.queue, w)
	p.hand()
	return w
}

// leave ends a wait, and reports whether it has got its slot meanwhile.
func (p *Pool) leave(s *Share, w *wait) (got bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.Index(s.queue, w)
	if i < 0 {
		return true
	}
	p.unqueue(s, i)
	p.forget(s)
	return false
}

// hand gives what is free to those that wait.
func (p *Pool) hand() {
	for s := p.next(); s != nil; s = p.next() {
		p.turn++
		p.free--
		s.used, s.turn = s.used+1, p.turn
		close(s.queue[0].got)
		p.unqueue(s, 0)
	}
}

// next is the recipient that gets the next slot; nil: none does.
func (p *Pool) next() (next *Share) {
	for _, s := range p.waiting {
		if p.may(s) && (next == nil || s.used < next.used || s.used == next.used && s.turn < next.turn) {
			next = s
		}
	}
	return next
}

// may reports whether a recipient may have another slot.
func (p *Pool) may(s *Share) bool { return p.free > 0 && (s.used == 0 || p.free > p.reserve) }

func (p *Pool) unqueue(s *Share, i int) {
	s.queue = slices.Delete(s.queue, i, i+1)
	if len(s.queue) == 0 {
		i := slices.Index(p.waiting, s)
		p.waiting = slices.Delete(p.waiting, i, i+1)
	}
}

// forget takes a recipient that has no slot and waits for none from those that are active.
func (p *Pool) forget(s *Share) {
	if s.used == 0 && len(s.queue) == 0 {
		p.active--
	}
}
