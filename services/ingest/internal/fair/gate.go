// Package fair lets events of many senders in, in turn: one that sends more than can be stored waits behind itself, not before others.
package fair

import (
	"sync"
	"time"
)

// Options are the bounds of a gate.
type Options struct {
	// Events and Bytes bound what waits and is being stored, of all senders; EventsOfOne what one sender may have of it.
	Events, EventsOfOne int
	Bytes               int64
	// AtOnce is how many have their turn at once. 0: it follows the time that a turn takes.
	AtOnce int
}

// Gate is passed by each event before it is stored. What waits is let through by deficit round robin over its senders (Shreedhar and
// Varghese, Efficient Fair Queuing using Deficit Round Robin, 1995), so that a sender's event waits for a few events of each other
// sender at most. It may be used by many goroutines.
type Gate struct {
	o Options

	mu     sync.Mutex
	window window
	// held are the events that have a place, storing those that have their turn.
	held, storing int
	bytes         int64
	senders       map[string]*sender
	// ring are the senders with waiting events, in the order of their turns.
	ring   []*sender
	closed bool
	// empty is closed when the last event has left a closed gate.
	empty chan struct{}
}

// sender is what the gate holds of one sender.
type sender struct {
	name string
	// held are its events that have a place, storing those that have their turn.
	held, storing int
	// waiting are its events in their order, deficit how much of its turn is left.
	waiting []*Pass
	deficit int
}

// Pass is the place of an event in the gate. Its holder calls Leave once.
type Pass struct {
	gate   *Gate
	sender *sender
	size   int
	turn   chan struct{}
	began  time.Time
	// yielded says that the turn is over and the place is still held.
	yielded bool
}

// New makes a gate.
func New(o Options) *Gate {
	w := newWindow(o.Events)
	if o.AtOnce > 0 {
		w = window{now: o.AtOnce}
	}
	return &Gate{o: o, window: w, senders: map[string]*sender{}, empty: make(chan struct{})}
}

// Enter takes a place for an event of a sender, or nil if there is none: for all of them, for this sender, or any more.
func (g *Gate) Enter(name string, size int) *Pass {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.senders[name]
	if s == nil {
		s = &sender{name: name}
	}
	if g.closed || s.held >= g.o.EventsOfOne || !g.room(s, size) {
		return nil
	}
	at := g.first(s)
	g.senders[name] = s
	s.held++
	g.held++
	g.bytes += int64(size)
	p := &Pass{gate: g, sender: s, size: size, turn: make(chan struct{})}
	if at {
		g.give(p)
		return p
	}
	if s.waiting = append(s.waiting, p); len(s.waiting) == 1 {
		s.deficit = 0
		g.ring = append(g.ring, s)
	}
	g.dispatch()
	return p
}

// room reports whether an event fits. When others have taken all there is, a sender still has its equal part, up to as much again in
// all, so that those who came first can't shut it out.
func (g *Gate) room(s *sender, size int) bool {
	if g.held < g.o.Events && g.bytes+int64(size) <= g.o.Bytes {
		return true
	}
	part := g.o.Events / (len(g.senders) + 1)
	return len(g.senders) > 0 && s.held < part && g.held < 2*g.o.Events && g.bytes+int64(size) <= 2*g.o.Bytes
}

// Turn is closed when the event may be stored.
func (p *Pass) Turn() <-chan struct{} { return p.turn }

// Yield ends the turn of an event that keeps its place.
func (p *Pass) Yield() {
	g := p.gate
	g.mu.Lock()
	defer g.mu.Unlock()
	g.end(p)
	g.dispatch()
}

// end ends a turn that has come.
func (g *Gate) end(p *Pass) {
	if p.yielded {
		return
	}
	p.yielded = true
	g.storing--
	p.sender.storing--
	now := time.Now()
	g.window.observe(now.Sub(p.began), now, len(g.ring) > 0)
}

// Leave gives the place up, before or after its turn has come.
func (p *Pass) Leave() {
	g := p.gate
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-p.turn:
		g.end(p)
	default:
		g.withdraw(p)
	}
	s := p.sender
	s.held--
	g.held--
	g.bytes -= int64(p.size)
	if s.held == 0 {
		delete(g.senders, s.name)
	}
	g.dispatch()
	if g.closed && g.held == 0 {
		close(g.empty)
	}
}

// withdraw takes out an event that waits no longer.
func (g *Gate) withdraw(p *Pass) {
	s := p.sender
	for i, x := range s.waiting {
		if x == p {
			s.waiting = append(s.waiting[:i], s.waiting[i+1:]...)
			break
		}
	}
	if len(s.waiting) > 0 {
		return
	}
	for i, x := range g.ring {
		if x == s {
			g.ring = append(g.ring[:i], g.ring[i+1:]...)
			break
		}
	}
}

// What an event costs of its sender's turn: one, and one for each unit of its size. A turn allows for the largest event.
const (
	unit    = 64 << 10
	quantum = 5
)

func cost(size int) int { return min(quantum, 1+size/unit) }

// dispatch gives turns as long as more may be stored at once.
func (g *Gate) dispatch() {
	for len(g.ring) > 0 && g.storing < g.window.size() {
		s := g.ring[0]
		p := s.waiting[0]
		if s.deficit < cost(p.size) {
			s.deficit += quantum
			g.ring = append(g.ring[1:], s)
			continue
		}
		s.deficit -= cost(p.size)
		s.waiting = s.waiting[1:]
		if len(s.waiting) == 0 {
			g.ring = g.ring[1:]
		}
		g.give(p)
	}
}

// give gives an event its turn.
func (g *Gate) give(p *Pass) {
	g.storing++
	p.sender.storing++
	p.began = time.Now()
	close(p.turn)
}

// first reports whether an event has its turn at once: it is the only one of a sender beside others that fill the window. What is stored
// leaves in groups, so that such a sender would wait for a whole group of the others with each of its events.
func (g *Gate) first(s *sender) bool {
	return g.o.AtOnce == 0 && s.held == 0 && g.storing >= g.window.size() && g.storing < 2*g.window.size()
}

// Close admits no more events and waits until none is in the gate.
func (g *Gate) Close() {
	g.mu.Lock()
	g.closed = true
	if g.held == 0 {
		close(g.empty)
	}
	g.mu.Unlock()
	<-g.empty
}
