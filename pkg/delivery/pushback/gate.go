// Package pushback keeps to the pauses that recipients ask for. Retry-After (RFC 9110, 10.2.3) is about the recipient and not about
// the one event that it answers: what is in flight ends, then nothing is sent until the pause is over, and then requests start
// slowly. gRPC calls this server pushback.
package pushback

import (
	"math/rand/v2"
	"sync"
	"time"
)

// How requests start again after a pause.
const (
	// firstRate is how many requests a second follow the first one that succeeds.
	firstRate = 1.0
	// growEvery is the interval at which the rate doubles while requests succeed.
	growEvery = 2 * time.Second
	// fullRate is the rate above which there is none any more: about 20 s after the pause.
	fullRate = 1_000.0
	// burst is how much of a second's requests may be sent at once.
	burst = 0.25
)

// A pause ends a bit late, by up to a part of it, so that not all senders ask at once whether it is over.
const (
	maxLate  = 2 * time.Second
	latePart = 20
)

// renewed is how much longer a pause must become for other senders to be told.
const renewed = time.Second

// Gate keeps to the pauses of one recipient in one process. The zero value is open. Times are those of the process's own clock.
type Gate struct {
	mu sync.Mutex
	// until is the end of a pause and set when it was last set; until is zero if there is none.
	until, set time.Time
	// slow says that requests start again, at a rate per second. allowance is how many may start now, as of the time at.
	slow            bool
	rate, allowance float64
	at              time.Time
	// answered says that the first request after the pause has ended. grown is when the rate grew last; zero: nothing succeeded yet.
	answered bool
	grown    time.Time
}

// Pause lets nothing through for a time, unless it does already. It reports whether other senders are to be told.
func (g *Gate) Pause(d time.Duration, now time.Time) (tell bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	until := now.Add(d)
	g.set, g.slow = now, false
	if !until.After(g.until) {
		return false
	}
	tell = until.Sub(g.until) > renewed || !g.until.After(now)
	if late := min(d/latePart, maxLate); late > 0 {
		until = until.Add(rand.N(late))
	}
	g.until = until
	return tell
}

// Rest is how long the pause still lasts; 0 if there is none.
func (g *Gate) Rest(now time.Time) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.rest(now)
}

func (g *Gate) rest(now time.Time) time.Duration {
	if g.until.IsZero() {
		return 0
	}
	if rest := g.until.Sub(now); rest > 0 {
		return rest
	}
	g.resume(now)
	return 0
}

// resume starts slowly: one request, and no other before that has ended.
func (g *Gate) resume(now time.Time) {
	g.until = time.Time{}
	g.slow, g.rate, g.allowance, g.at = true, firstRate, 1, now
	g.answered, g.grown = false, time.Time{}
}

// Lift ends a pause before its time. It reports whether there was one.
func (g *Gate) Lift(now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.rest(now) == 0 {
		return false
	}
	g.resume(now)
	return true
}

// Take says how many of n requests may start now; if none, how long to wait before asking again.
func (g *Gate) Take(n int, now time.Time) (taken int, wait time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if rest := g.rest(now); rest > 0 {
		return 0, rest
	}
	if !g.slow {
		return n, 0
	}
	if g.answered {
		g.allowance = min(g.allowance+g.rate*now.Sub(g.at).Seconds(), max(1, g.rate*burst))
	}
	g.at = now
	taken = min(n, int(g.allowance))
	if taken <= 0 {
		return 0, time.Duration((1 - min(g.allowance, 0.999)) / g.rate * float64(time.Second))
	}
	g.allowance -= float64(taken)
	return taken, 0
}

// GiveBack says that n of the requests that could start did not.
func (g *Gate) GiveBack(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.slow {
		g.allowance = min(g.allowance+float64(n), max(1, g.rate*burst))
	}
}

// Ended takes in the end of a request that did not ask for a pause. A success of one that began within a pause ends it: somebody had it
// sent in spite of it. Ended reports whether the recipient has just proven to take requests again.
func (g *Gate) Ended(success bool, began, now time.Time) (proven bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.rest(now) > 0 {
		if !success || !began.After(g.set) {
			return false
		}
		g.resume(now)
	}
	if !g.slow {
		return false
	}
	if !g.answered {
		g.answered, g.at = true, now
	}
	switch {
	case !success:
		return false
	case g.grown.IsZero():
		g.grown = now
		return true
	case now.Sub(g.grown) >= growEvery:
		g.rate, g.grown = 2*g.rate, now
		g.slow = g.rate <= fullRate
	}
	return false
}
