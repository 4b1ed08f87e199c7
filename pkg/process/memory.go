package process

import (
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// How much memory a program may take beyond what is in use before garbage is collected. Go's own rule, as much again as is in
// use, collects many times a second where little is in use and much is thrown away, which is how events pass through.
const (
	// headroom is what garbage may take, in bytes, where Go's rule gives less.
	headroom = 192 << 20
	// leastPercent is Go's own rule, mostPercent four times that: a small program stays small.
	leastPercent = 100
	mostPercent  = 400
	// gaugeEvery is how often what is in use is looked at.
	gaugeEvery = time.Second
)

// garbage says how much garbage there may be, in percent of what is in use.
func garbage(live uint64) int {
	return int(min(max(headroom*100/max(live, 1), leastPercent), mostPercent)) // #nosec G115 -- within the two
}

// collect keeps the garbage collector's pace until done is closed. Whoever sets GOGC decides alone.
func collect(done <-chan struct{}) {
	if os.Getenv("GOGC") != "" {
		return
	}
	before := debug.SetGCPercent(mostPercent)
	defer debug.SetGCPercent(before)
	tick := time.NewTicker(gaugeEvery)
	defer tick.Stop()
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	for now := mostPercent; ; {
		select {
		case <-done:
			return
		case <-tick.C:
		}
		metrics.Read(live)
		if live[0].Value.Kind() != metrics.KindUint64 {
			continue
		}
		// A change stops the world for a moment, so a small one is not worth it.
		if want := garbage(live[0].Value.Uint64()); want*10 < now*9 || want*9 > now*10 || want != now && want == leastPercent {
			debug.SetGCPercent(want)
			now = want
		}
	}
}
