package delivery

import "sync"

// slots bounds how many messages of a recipient are in hand. One goroutine takes, many give back.
type slots struct {
	mu          sync.Mutex
	width, used int
	// limit is how many there are at most now, 2 or more. What is in hand above it comes to an end, and then it is looked at again.
	limit func() int
	// freed is signalled when a slot may have become free.
	freed chan struct{}
}

func newSlots(width int, limit func() int) *slots {
	return &slots{width: width, limit: limit, freed: make(chan struct{}, 1)}
}

// take takes as many as are free, at most n.
func (s *slots) take(n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n = max(0, min(n, min(s.width, s.limit())-s.used))
	s.used += n
	return n
}

// force takes one, free or not, for a message that came unasked.
func (s *slots) force() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used++
}

// giveBack frees one.
func (s *slots) giveBack() {
	s.mu.Lock()
	s.used--
	s.mu.Unlock()
	s.signal()
}

// resize changes how many there are. What is in hand stays so, if there are fewer then.
func (s *slots) resize(width int) {
	s.mu.Lock()
	s.width = width
	s.mu.Unlock()
	s.signal()
}

// total is how many there are.
func (s *slots) total() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.width
}

func (s *slots) signal() {
	select {
	case s.freed <- struct{}{}:
	default:
	}
}
