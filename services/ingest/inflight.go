package ingest

import "sync"

// gate bounds what is on its way at once, by number and by size.
type inFlightLimit struct {
	events int
	bytes  int64

	mu     sync.Mutex
	inside int
	held   int64
	closed bool
	// empty is closed when the last one leaves after shut.
	empty chan struct{}
}

func (g *inFlightLimit) enter(size int) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed || g.inside >= g.events || g.held+int64(size) > g.bytes {
		return false
	}
	g.inside++
	g.held += int64(size)
	return true
}

func (g *inFlightLimit) leave(size int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside--
	g.held -= int64(size)
	if g.closed && g.inside == 0 {
		close(g.empty)
	}
}

// shut admits no more events and waits until none is in flight.
func (g *inFlightLimit) shut() {
	g.mu.Lock()
	g.closed = true
	g.empty = make(chan struct{})
	if g.inside == 0 {
		close(g.empty)
	}
	g.mu.Unlock()
	<-g.empty
}
