// Package throttle is the adapter of Redis: limits that all replicas of a sender share. What Redis holds may be lost at any
// time; with Redis away each replica keeps to its share, and without Redis one process keeps the limit alone.
package throttle

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Limit is how many turns a key has per period.
type Limit struct {
	Turns  int
	Period time.Duration
}

// burst is how many turns may be taken at once after a pause: a tenth of the period's.
func (l Limit) burst() int { return max(1, l.Turns/10) }

// Limiter hands out turns. It may be used by many goroutines.
type Limiter interface {
	// Take takes a turn for key and returns 0, or takes none and returns how long to wait before asking again. A limiter that
	// cannot ask whoever keeps the count keeps to a limit of its own: it never fails.
	Take(ctx context.Context, key string, l Limit) (wait time.Duration)
}

// Memory is a Limiter for one process.
type Memory struct {
	mu   sync.Mutex
	keys map[string]*bucket
	// swept is when buckets that nobody used were last dropped.
	swept time.Time
}

type bucket struct {
	limit Limit
	l     *rate.Limiter
	used  time.Time
}

// NewMemory makes a limiter for one process.
func NewMemory() *Memory { return &Memory{keys: map[string]*bucket{}, swept: time.Now()} }

// sweepEvery is how often unused buckets are dropped; one is unused after the longest period.
const sweepEvery = time.Hour

// Take implements Limiter.
func (m *Memory) Take(_ context.Context, key string, l Limit) time.Duration {
	if l.Turns <= 0 || l.Period <= 0 {
		return 0
	}
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sweep(now)
	b := m.keys[key]
	if b == nil || b.limit != l {
		b = &bucket{limit: l, l: rate.NewLimiter(rate.Limit(float64(l.Turns)/l.Period.Seconds()), l.burst())}
		m.keys[key] = b
	}
	b.used = now
	r := b.l.ReserveN(now, 1)
	wait := r.DelayFrom(now)
	if wait > 0 {
		r.CancelAt(now)
	}
	return wait
}

func (m *Memory) sweep(now time.Time) {
	if now.Sub(m.swept) < sweepEvery {
		return
	}
	m.swept = now
	for k, b := range m.keys {
		if now.Sub(b.used) > sweepEvery {
			delete(m.keys, k)
		}
	}
}
