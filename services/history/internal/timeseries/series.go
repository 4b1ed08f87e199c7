package timeseries

import (
	"slices"
	"sort"
	"time"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// resolution is how a range is divided.
type resolution struct {
	Range    outboundv1.TimeSeriesRange_Range
	Interval time.Duration
	// Slots is how many intervals the range has, the current one included.
	Slots int64
}

// resolutions are those that are counted in.
func resolutions() [3]resolution {
	return [...]resolution{
		{outboundv1.TimeSeriesRange_HOUR, time.Minute, 60},
		{outboundv1.TimeSeriesRange_DAY, 10 * time.Minute, 144},
		{outboundv1.TimeSeriesRange_WEEK, time.Hour, 168},
	}
}

// resolutionOf is that of a range, with its place; the default is a day.
func resolutionOf(r outboundv1.TimeSeriesRange_Range) (int, resolution) {
	all := resolutions()
	for i, x := range all {
		if x.Range == r {
			return i, x
		}
	}
	return 1, all[1]
}

// slot is the number of the interval that a time is in, counted from the beginning of Unix time.
func (r resolution) slot(t time.Time) int64 {
	return t.Unix() / int64(r.Interval/time.Second)
}

// start is when an interval begins.
func (r resolution) start(slot int64) time.Time {
	return time.Unix(slot*int64(r.Interval/time.Second), 0).UTC()
}

// kind is what an entry counts: one of these, or from latencies on the deliveries of a bucket of the histogram.
type kind uint8

const (
	// delivered counts deliveries whose latency is not known.
	delivered kind = iota
	failedAttempt
	failedDelivery
	latencies
)

// entry counts one kind of fact in one interval.
type entry struct {
	slot uint32
	n    uint32
	kind kind
}

// series are the entries of one recipient in one resolution, by interval. Only what happened has an entry.
type series struct {
	entries []entry
}

// add counts a fact in an interval. Facts come nearly in order, so the search from the end is short.
func (s *series) add(slot int64, k kind, slots int64) {
	at := uint32(slot) //nolint:gosec // seconds of Unix time fit until 2106
	i := len(s.entries)
	for i > 0 && s.entries[i-1].slot >= at {
		if x := &s.entries[i-1]; x.slot == at && x.kind == k {
			x.n++
			return
		}
		i--
	}
	for i < len(s.entries) && s.entries[i].slot == at {
		i++
	}
	if i == len(s.entries) {
		s.prune(slot - slots + 1)
		i = len(s.entries)
	}
	s.entries = slices.Insert(s.entries, i, entry{slot: at, kind: k, n: 1})
}

// prune removes the entries of intervals before one, once they are half of all: so each entry is copied once on average. What stays is
// copied, so that the memory of what does not is free.
func (s *series) prune(first int64) {
	n := sort.Search(len(s.entries), func(i int) bool { return int64(s.entries[i].slot) >= first })
	if n > 0 && n == len(s.entries) {
		s.entries = nil
	} else if 2*n >= len(s.entries) && n > 0 {
		s.entries = slices.Clone(s.entries[n:])
	}
}

// sum is what happened in one or several intervals.
type sum struct {
	delivered, failedAttempts, failedDeliveries int64
	latencies                                   histogram
}

func (s *sum) add(e entry) {
	n := int64(e.n)
	switch e.kind {
	case delivered:
		s.delivered += n
	case failedAttempt:
		s.failedAttempts += n
	case failedDelivery:
		s.failedDeliveries += n
	case latencies:
		fallthrough
	default:
		s.delivered += n
		s.latencies[e.kind-latencies] += n
	}
}
