package fair

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Limit is how much one sender may send. 0 is no limit.
type Limit struct {
	EventsPerSecond int
	BytesPerSecond  int64
}

// Meter counts what each sender sends. It may be used by many goroutines.
type Meter struct {
	mu      sync.Mutex
	senders map[string]*metered
}

type metered struct {
	limit         Limit
	events, bytes *rate.Limiter
}

// NewMeter makes a meter.
func NewMeter() *Meter { return &Meter{senders: map[string]*metered{}} }

// Take counts an event of a sender, and returns 0 or how long the sender is to wait before it sends it again; it is not counted then.
// A second's worth may come at once.
func (m *Meter) Take(name string, l Limit, size int, now time.Time) (wait time.Duration) {
	if l == (Limit{}) {
		return 0
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	x := m.senders[name]
	if x == nil || x.limit != l {
		x = &metered{limit: l, events: limiter(l.EventsPerSecond, 1), bytes: limiter(int(l.BytesPerSecond), leastBytes)}
		m.senders[name] = x
	}
	events := x.events.ReserveN(now, 1)
	bytes := x.bytes.ReserveN(now, size)
	if wait = max(events.DelayFrom(now), bytes.DelayFrom(now)); wait > 0 {
		events.CancelAt(now)
		bytes.CancelAt(now)
	}
	return wait
}

// leastBytes is room for the largest request, so that a small limit lets it through now and then.
const leastBytes = 1 << 20

func limiter(perSecond, least int) *rate.Limiter {
	if perSecond == 0 {
		return rate.NewLimiter(rate.Inf, 0)
	}
	return rate.NewLimiter(rate.Limit(perSecond), max(perSecond, least))
}

// Keep forgets the senders that are not known any more.
func (m *Meter) Keep(known func(name string) bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name := range m.senders {
		if !known(name) {
			delete(m.senders, name)
		}
	}
}
