package quota

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/outbound-events/outbound/pkg/pause"
)

// class is the calls that share a limit: a rate for each caller, and how many run at once.
type class struct {
	reason, name string
	rate         rate.Limit
	burst        int
	running      chan struct{}
	// places is how many calls of one caller may wait or run.
	places int
	// pace bounds the time in which they run. Nil: they may run all the time.
	pace *pace

	mu      sync.Mutex
	callers map[string]*caller
	swept   time.Time
}

// caller is what one caller has used.
type caller struct {
	limit *rate.Limiter
	// inside are its calls that wait or run.
	inside int
	used   time.Time
}

func newClass(reason, name string, r rate.Limit, burst, atOnce int) *class {
	return &class{reason: reason, name: name, rate: r, burst: burst, running: make(chan struct{}, atOnce),
		places: waitingPerCaller * atOnce, callers: map[string]*caller{}, swept: time.Now()}
}

// enter waits for a turn.
func (c *class) enter(ctx context.Context, name string, patience time.Duration) (release func(), err error) {
	wait, err := c.reserve(name, patience)
	if err != nil {
		return nil, err
	}
	leave := func() { c.leave(name) }
	bound, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if pause.For(bound, wait) {
		err = c.turn(bound)
	} else {
		err = bound.Err()
	}
	switch {
	case err == nil:
	case ctx.Err() != nil:
		leave()
		return nil, ctx.Err()
	default:
		leave()
		return nil, &Exceeded{c.reason, fmt.Sprintf("too many %s are asked for at the moment: try again later", c.name), patience}
	}
	began := time.Now()
	return sync.OnceFunc(func() {
		if c.pace != nil {
			c.pace.spend(time.Since(began))
		}
		<-c.running
		leave()
	}), nil
}

// reserve takes a place and a turn of a caller, and says after how long it comes.
func (c *class) reserve(name string, patience time.Duration) (time.Duration, error) {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sweep(now)
	x := c.callers[name]
	if x == nil {
		x = &caller{limit: rate.NewLimiter(c.rate, c.burst)}
		c.callers[name] = x
	}
	x.used = now
	text := fmt.Sprintf("you asked for too many %s: the limit is %.0f a minute", c.name, float64(c.rate)*time.Minute.Seconds())
	if x.inside >= c.places {
		return 0, &Exceeded{c.reason, text, time.Second}
	}
	r := x.limit.ReserveN(now, 1)
	wait := r.DelayFrom(now)
	if wait > patience {
		r.CancelAt(now)
		return 0, &Exceeded{c.reason, text, wait}
	}
	x.inside++
	return wait, nil
}

func (c *class) leave(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.callers[name].inside--
}

// turn waits until one may run.
func (c *class) turn(ctx context.Context) error {
	select {
	case c.running <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	if c.pace == nil {
		return nil
	}
	if !pause.For(ctx, c.pace.wait()) {
		<-c.running
		return ctx.Err()
	}
	return nil
}

// forgetAfter is after how long a caller's count is dropped: its burst is whole again long before.
const forgetAfter = 10 * time.Minute

func (c *class) sweep(now time.Time) {
	if now.Sub(c.swept) < forgetAfter {
		return
	}
	c.swept = now
	for name, x := range c.callers {
		if x.inside == 0 && now.Sub(x.used) > forgetAfter {
			delete(c.callers, name)
		}
	}
}

// pace bounds the part of the time in which something runs.
type pace struct {
	// share is how much of each second may be used, saved what of it was not, at most pacedBurst.
	share float64

	mu    sync.Mutex
	saved time.Duration
	at    time.Time
}

// pacedBurst is how long may be run at once after a pause. One run counts as pacedRun at most: on a machine without a free processor it
// waits rather than runs.
const (
	pacedBurst = 3 * time.Second
	pacedRun   = time.Second
)

func newPace(percent int) *pace {
	return &pace{share: float64(percent) / 100, saved: pacedBurst, at: time.Now()}
}

// wait is how long to wait before the next run.
func (p *pace) wait() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	p.saved = min(pacedBurst, p.saved+time.Duration(float64(now.Sub(p.at))*p.share))
	p.at = now
	if p.saved >= 0 {
		return 0
	}
	return time.Duration(float64(-p.saved) / p.share)
}

func (p *pace) spend(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.saved -= min(d, pacedRun)
}
