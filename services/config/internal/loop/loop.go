// Package loop has what background loops wait for.
package loop

// Signal wakes one reader. Signals that are set before the reader wakes are joined.
type Signal chan struct{}

// NewSignal returns a signal that is not set.
func NewSignal() Signal { return make(Signal, 1) }

// Set wakes the reader. It never blocks.
func (s Signal) Set() {
	select {
	case s <- struct{}{}:
	default:
	}
}
