package timeseries

import (
	"sync"
	"time"

	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/delivery"
)

// Counter counts what the delivery log tells. It is safe for concurrent use.
type Counter struct {
	mu sync.Mutex
	// all is the sum of all recipients, by is each by its id: a series for each resolution.
	all *[3]series
	by  map[string]*[3]series
	// since is when the first record that was counted was stored; zero if nothing was stored before it.
	since time.Time
	begun bool
	// complete is closed when all that is stored has been counted.
	complete chan struct{}
	// swept is the hour in which what is over was last removed.
	swept int64
}

// NewCounter makes a counter of nothing.
func NewCounter() *Counter {
	c := &Counter{complete: make(chan struct{})}
	c.Reset()
	return c
}

// Reset forgets what was counted.
func (c *Counter) Reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all, c.by, c.since, c.begun, c.swept = &[3]series{}, map[string]*[3]series{}, time.Time{}, false, 0
	select {
	case <-c.complete:
		c.complete = make(chan struct{})
	default:
	}
}

// CaughtUp notes that all that is stored has been counted.
func (c *Counter) CaughtUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.begun = true
	select {
	case <-c.complete:
	default:
		close(c.complete)
	}
}

// Complete returns a channel that is closed when all that is stored has been counted.
func (c *Counter) Complete() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.complete
}

// kindsOf are the facts that a record tells. Skips and cancellations say nothing of the receiver. An operator's change of a delivery that
// goes on and copies of records are no attempts.
func kindsOf(g deliverylog.RecordHeader) (out [2]kind, n int) {
	switch {
	case g.Intake || g.Carried || g.State == delivery.StateRetrying && g.Reason.OperatorChange():
	case g.State == delivery.StateDelivered && g.LatencyKnown:
		return [2]kind{latencies + kind(latencyBucket(g.Latency))}, 1 //nolint:gosec // latencyBuckets fit
	case g.State == delivery.StateDelivered:
		return [2]kind{delivered}, 1
	case g.State == delivery.StateRetrying && g.Tried:
		return [2]kind{failedAttempt}, 1
	case g.State == delivery.StateExpired || g.State == delivery.StateRejected:
		if g.Tried {
			return [2]kind{failedDelivery, failedAttempt}, 2
		}
		return [2]kind{failedDelivery}, 1
	}
	return out, 0
}

// Count counts a record. Records must come in the order of the log.
func (c *Counter) Count(g deliverylog.RecordHeader) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.begun {
		c.begun = true
		if g.Sequence > 1 {
			c.since = g.Stored
		}
	}
	kinds, n := kindsOf(g)
	if n == 0 {
		return
	}
	of := c.by[g.Recipient]
	if of == nil {
		of = &[3]series{}
		c.by[g.Recipient] = of
	}
	for i, r := range resolutions() {
		slot := r.slot(g.Stored)
		for _, k := range kinds[:n] {
			of[i].add(slot, k, r.Slots)
			c.all[i].add(slot, k, r.Slots)
		}
	}
	c.sweep(g.Stored)
}

// sweep removes what is over, once an hour, so that recipients without deliveries take no memory.
func (c *Counter) sweep(now time.Time) {
	hour := now.Unix() / 3600
	if hour <= c.swept {
		return
	}
	c.swept = hour
	for id, of := range c.by {
		left := 0
		for i, r := range resolutions() {
			of[i].prune(r.slot(now) - r.Slots + 1)
			left += len(of[i].entries)
		}
		if left == 0 {
			delete(c.by, id)
		}
	}
}

// counted is what happened in each interval of a range.
type counted struct {
	// first is the first interval.
	first  int64
	points []sum
	// since is since when all is counted; zero: all is.
	since time.Time
}

// read returns what happened to a recipient, or to all for an empty id, until now.
func (c *Counter) read(id string, which int, r resolution, now time.Time) counted {
	last := r.slot(now)
	out := counted{first: last - r.Slots + 1, points: make([]sum, r.Slots)}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.since.After(r.start(out.first)) {
		out.since = c.since
	}
	of := c.all
	if id != "" {
		of = c.by[id]
	}
	if of == nil {
		return out
	}
	for _, e := range of[which].entries {
		if at := int64(e.slot) - out.first; at >= 0 && at < r.Slots {
			out.points[at].add(e)
		}
	}
	return out
}

// Entries is how many entries are kept. Each takes 12 bytes.
func (c *Counter) Entries() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.all {
		n += len(c.all[i].entries)
		for _, of := range c.by {
			n += len(of[i].entries)
		}
	}
	return n
}
