package timeseries

import (
	"math"
	"time"
)

// Latencies are counted in a histogram with fixed bounds: a quarter of a power of two each, from a millisecond on. So histograms of
// several intervals and recipients are added up without loss, and a quantile is off by less than 10 %.
const (
	perOctave = 4
	// latencyBuckets reach to 2^(120/4) ms, which is 12 days.
	latencyBuckets = 121
)

// latencyBucket is the bucket of a latency: bucket 0 holds up to a millisecond, bucket n what is above bound(n-1), up to bound(n).
func latencyBucket(d time.Duration) int {
	ms := float64(d) / float64(time.Millisecond)
	if ms <= 1 {
		return 0
	}
	return min(int(math.Ceil(perOctave*math.Log2(ms)-1e-9)), latencyBuckets-1)
}

// bound is the upper bound of a bucket.
func bound(bucket int) time.Duration {
	return time.Duration(math.Exp2(float64(bucket)/perOctave) * float64(time.Millisecond))
}

// histogram counts latencies by bucket.
type histogram [latencyBuckets]int64

// quantile is the latency that a share of the counted ones does not exceed: the middle of its bucket. ok is false if there are none.
func (h *histogram) quantile(share float64) (d time.Duration, ok bool) {
	total := int64(0)
	for _, n := range h {
		total += n
	}
	if total == 0 {
		return 0, false
	}
	rank := max(int64(math.Ceil(share*float64(total))), 1)
	for i, n := range h {
		if rank -= n; rank > 0 {
			continue
		}
		if i == 0 {
			return bound(0), true
		}
		// The geometric middle is at most 9 % from any latency of the bucket.
		middle := math.Sqrt(float64(bound(i-1)) * float64(bound(i)))
		return time.Duration(middle).Round(time.Millisecond / 10), true
	}
	return bound(latencyBuckets - 1), true
}
