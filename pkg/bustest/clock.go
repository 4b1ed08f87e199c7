package bustest

import (
	"sync/atomic"
	"time"
)

// Clock is a wall clock that is wrong. It can be set while it is used.
type Clock struct{ ahead atomic.Int64 }

// NewClock is a clock that is ahead of the right one; a negative duration: behind.
func NewClock(ahead time.Duration) *Clock {
	c := &Clock{}
	c.Set(ahead)
	return c
}

// Set sets how far it is ahead.
func (c *Clock) Set(ahead time.Duration) { c.ahead.Store(int64(ahead)) }

// Now is what it shows.
func (c *Clock) Now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }
