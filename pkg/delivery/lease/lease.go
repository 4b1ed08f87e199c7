// Package lease says for how long a message belongs to the sender that pulled it.
package lease

import (
	"math"
	"sync/atomic"
	"time"
)

// Lease is for how long a message belongs to the sender that pulled it. Once it is over, the queue may have handed the message to
// another sender: it must be neither sent nor put back then. The zero value never ends.
type Lease struct {
	// Since is a time before the queue handed the message out, by the clocks of this process.
	Since time.Time
	// AckWait is how long the queue waits from then on before it hands the message out again.
	AckWait time.Duration
	// renewed, if set, is shared by all copies: a time before the broker last began to wait again.
	renewed *atomic.Pointer[time.Time]
}

// renewable has the lease and its later copies be renewed by what it returns, unless it is over by then.
func (l *Lease) renewable() (renew func(since time.Time)) {
	l.renewed = &atomic.Pointer[time.Time]{}
	shared := *l
	return func(since time.Time) {
		if !shared.Over() {
			shared.renewed.Store(&since)
		}
	}
}

// since is a time before the broker began to wait.
func (l Lease) since() time.Time {
	if l.renewed != nil {
		if t := l.renewed.Load(); t != nil {
			return *t
		}
	}
	return l.Since
}

// maxLeaseReserve is how long before the ack wait ends a lease is over at most: a broker that was restarted hands out up to a second
// early, and what is said last must reach it.
const maxLeaseReserve = 2 * time.Second

// Left is how long the lease goes on; not positive: it is over. Time in which the process was stopped counts, by the monotonic clock, and
// time in which the machine was suspended, by the wall clock. If the wall clock is set forward, leases end early, which only has
// messages handed out again.
func (l Lease) Left(now time.Time) time.Duration {
	if l.AckWait <= 0 {
		return math.MaxInt64
	}
	since := l.since()
	gone := max(now.Sub(since), now.Round(0).Sub(since.Round(0)))
	return l.AckWait - min(maxLeaseReserve, l.AckWait/10) - gone
}

// Over reports whether the lease is over now.
func (l Lease) Over() bool { return l.AckWait > 0 && l.Left(time.Now()) <= 0 }
