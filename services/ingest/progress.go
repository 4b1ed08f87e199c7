package ingest

import (
	"sync"
	"time"
)

// progress knows up to which sequence of EVENTS all events that this process has accepted are recorded.
type progress struct {
	mu sync.Mutex
	// seen is a sequence that EVENTS has reached: what is accepted from now on comes behind it.
	seen uint64
	// open are the events under way, those that began at one value of seen together, in its order.
	open []*underway
	// doubts are those of which it is not known whether they are stored, or whether their record is.
	doubts []doubt
}

// underway are events on their way into EVENTS, or whose record is on its way. Each comes behind the sequence.
type underway struct {
	behind uint64
	events int
}

type doubt struct {
	*underway
	events int
	// at is when the last of them came in doubt.
	at time.Time
}

// begin registers an event that is about to be stored. Its result is passed to end or doubt.
func (p *progress) begin() *underway {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.open); n == 0 || p.open[n-1].behind < p.seen {
		p.open = append(p.open, &underway{behind: p.seen})
	}
	u := p.open[len(p.open)-1]
	u.events++
	return u
}

// reached notes a sequence that EVENTS has reached.
func (p *progress) reached(sequence uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen = max(p.seen, sequence)
}

// end notes that an event has its record, or was not stored.
func (p *progress) end(u *underway) {
	p.mu.Lock()
	defer p.mu.Unlock()
	u.events--
}

// doubt notes that an event may be stored without a record.
func (p *progress) doubt(u *underway, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.doubts); n > 0 && p.doubts[n-1].underway == u {
		p.doubts[n-1].events++
		p.doubts[n-1].at = now
		return
	}
	p.doubts = append(p.doubts, doubt{underway: u, events: 1, at: now})
}

// doubtful reports whether there are events that came in doubt before a time.
func (p *progress) doubtful(before time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, d := range p.doubts {
		if d.at.Before(before) {
			return true
		}
	}
	return false
}

// clear notes that all events that were in doubt before a time have a record if they are stored.
func (p *progress) clear(before time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	left := p.doubts[:0]
	for _, d := range p.doubts {
		if d.at.Before(before) {
			d.underway.events -= d.events
			continue
		}
		left = append(left, d)
	}
	p.doubts = left
}

// recorded is the sequence up to which all is recorded.
func (p *progress) recorded() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	done := 0
	for done < len(p.open) && p.open[done].events == 0 {
		done++
	}
	p.open = p.open[done:]
	if len(p.open) == 0 {
		return p.seen
	}
	return p.open[0].behind
}

// lost notes the last sequence of EVENTS after a broker lost its end: later events reuse the lost sequences.
func (p *progress) lost(last uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen = min(p.seen, last)
	for _, u := range p.open {
		u.behind = min(u.behind, last)
	}
}
