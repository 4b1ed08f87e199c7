package wire

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/outbound-events/outbound/pkg/bus/internal/names"
)

const (
	// silentAfter is how long a broker that answers nothing is waited for once the process has been asked to end.
	silentAfter = 5 * time.Second
	// silentLook is the pause between two questions whether it answers.
	silentLook = 250 * time.Millisecond
	// brokenAfter is how long it is waited for if it is known to store nothing until it is restarted.
	brokenAfter = time.Second
	// silentAnswer is how long one answer is waited for.
	silentAnswer = time.Second
)

// ending is what a connection knows of the end of its process.
type ending struct {
	// ctx ends once the process has been asked to end and the broker does not answer.
	ctx    context.Context
	silent context.CancelFunc
	// closed is closed with the connection.
	closed      chan struct{}
	asked, shut sync.Once
	asking      sync.WaitGroup

	mu         sync.Mutex
	committers []*Committer
}

func newEnding() *ending {
	e := &ending{closed: make(chan struct{})}
	e.ctx, e.silent = context.WithCancel(context.Background())
	return e
}

// add has a committer be asked whether it is answered, remove ends that.
func (e *ending) add(k *Committer) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.committers = append(e.committers, k)
}

func (e *ending) remove(k *Committer) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.committers = slices.DeleteFunc(e.committers, func(x *Committer) bool { return x == k })
}

// unanswered reports whether a committer's messages have had no answer for a while.
func (e *ending) unanswered(since time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.ContainsFunc(e.committers, func(k *Committer) bool { return k.silent(since) })
}

// heard is when the broker last answered one of the connection's messages, and whether some have waited since before a time without an
// answer after it.
func (e *ending) heard(before time.Time) (last time.Time, stalled bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, k := range e.committers {
		last, stalled = latestOf(last, k.lastHeard()), stalled || k.stalled(before)
	}
	return last, stalled
}

// over ends the questions, waits for the last one, and gives up what is still on its way.
func (e *ending) over() {
	e.shut.Do(func() { close(e.closed) })
	e.asking.Wait()
	e.silent()
}

// Ending says that the process has been asked to end. From then on the broker is asked whether it answers. Once it has not for 5 s, or
// stores nothing for so long of what it was given, Silent is closed, and what is on its way to it is given up. Later calls do nothing.
func (c *Conn) Ending() {
	c.ending.asked.Do(func() { c.ending.asking.Go(func() { awaitSilence(c) }) })
}

// Silent is closed once the process has been asked to end and the broker answers nothing: who waits for the broker may stop.
func (c *Conn) Silent() <-chan struct{} { return c.ending.ctx.Done() }

// WithoutCancel is a context for what is to be finished though ctx has ended. It ends once the broker is silent.
func (c *Conn) WithoutCancel(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(c.ending.ctx, cancel)
	return ctx, func() {
		stop()
		cancel()
	}
}

// StopWatch stops a watch of a bucket. The client library has the broker delete the watch's consumer and waits 5 s for the answer; once the
// process ends and the broker is silent that is not waited for, and what waits ends with the connection.
func (c *Conn) StopWatch(w jetstream.KeyWatcher) {
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		_ = w.Stop() // a consumer that stays is removed by the broker
	}()
	select {
	case <-stopped:
	case <-c.Silent():
	}
}

// awaitSilence asks until the broker is silent or the connection is closed.
func awaitSilence(c *Conn) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	answered := make(chan struct{}, 1)
	c.ending.asking.Go(func() { askOften(ctx, c, answered) })
	tick := time.NewTicker(silentLook)
	defer tick.Stop()
	began := time.Now()
	for heard := began; ; {
		select {
		case <-answered:
			heard = time.Now()
		case <-tick.C:
			if time.Since(heard) > silentAfter || c.ending.unanswered(began) || storeBroken(c) && time.Since(began) > brokenAfter {
				silence(c)
				return
			}
		case <-c.ending.closed:
			return
		}
	}
}

// storeBroken reports whether the broker's store is known to take nothing until it is opened again.
func storeBroken(c *Conn) bool {
	w := c.store.Load()
	return w != nil && w.Broken() != nil
}

// silence gives up what is under way, on all connections of the process.
func silence(c *Conn) {
	c.ending.silent()
	if w := c.store.Load(); w != nil {
		w.silence()
	}
}

// askOften asks for EVENTS and tells of each answer, whatever it says. A broker that is connected may keep nothing all the same.
func askOften(ctx context.Context, c *Conn, answered chan<- struct{}) {
	tick := time.NewTicker(silentLook)
	defer tick.Stop()
	for {
		one, cancel := context.WithTimeout(ctx, silentAnswer)
		_, err := c.NC.RequestWithContext(one, "$JS.API.STREAM.INFO."+names.StreamEvents, nil)
		cancel()
		if err == nil {
			select {
			case answered <- struct{}{}:
			default:
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
