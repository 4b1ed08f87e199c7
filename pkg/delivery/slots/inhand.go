package slots

import "sync"

// InHand bounds how many messages of a recipient are in hand. One goroutine takes, many give back.
type InHand struct {
	mu          sync.Mutex
	width, used int
	limit       func() int
	freed       chan struct{}
}

// NewInHand makes a bound of so many. limit is how many there are at most now, 2 or more: it may change at any time. What is in hand above
// it comes to an end, and then it is asked again.
func NewInHand(width int, limit func() int) *InHand {
	return &InHand{width: width, limit: limit, freed: make(chan struct{}, 1)}
}

// Freed has a value when one may have become free.
func (s *InHand) Freed() <-chan struct{} { return s.freed }

// Take takes as many as are free, at most n.
func (s *InHand) Take(n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n = max(0, min(n, min(s.width, s.limit())-s.used))
	s.used += n
	return n
}

// Force takes one, free or not, for a message that came unasked.
func (s *InHand) Force() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used++
}

// GiveBack frees one.
func (s *InHand) GiveBack() {
	s.mu.Lock()
	s.used--
	s.mu.Unlock()
	s.signal()
}

// Resize changes how many there are. What is in hand stays so, if there are fewer then.
func (s *InHand) Resize(width int) {
	s.mu.Lock()
	s.width = width
	s.mu.Unlock()
	s.signal()
}

// Width is how many there are.
func (s *InHand) Width() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.width
}

func (s *InHand) signal() {
	select {
	case s.freed <- struct{}{}:
	default:
	}
}
