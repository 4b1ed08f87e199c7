package timeseries

import (
	"time"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// At returns the points of a recipient's series, or of all together, as of a time, and since when they are known.
func (c *Counter) At(id string, of outboundv1.TimeSeriesRange_Range, now time.Time) (points []*outboundv1.TimeSeriesPoint,
	since time.Time) {
	which, r := resolutionOf(of)
	x := c.read(id, which, r, now)
	for i := range x.points {
		points = append(points, point(&x.points[i], r.start(x.first+int64(i)), -1))
	}
	return points, x.since
}

// Total returns their sum.
func (c *Counter) Total(id string, of outboundv1.TimeSeriesRange_Range, now time.Time) *outboundv1.TimeSeriesPoint {
	which, r := resolutionOf(of)
	x := c.read(id, which, r, now)
	var all sum
	for i := range x.points {
		all.merge(&x.points[i])
	}
	return point(&all, now, -1)
}

// Recipients is how many recipients take memory.
func (c *Counter) Recipients() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.by)
}

// Bounded is what is stored of queues.
var Bounded = bounded
