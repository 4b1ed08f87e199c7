package process

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Group runs named tasks concurrently and stops them in order: the last added first, each awaited before the next.
// So a task may rely on those added before it until its own end.
type Group struct {
	// Grace is how long a task may take to stop before the group goes on without it. 0: 30 s.
	Grace time.Duration
	// Hopeless, if set, is closed when it is of no use to wait: all tasks that are left together may take 2 s then.
	Hopeless <-chan struct{}
	tasks    []*task
}

type task struct {
	name   string
	run    func(ctx context.Context) error
	cancel context.CancelFunc
	done   chan struct{}
	err    error
}

const (
	defaultGrace  = 30 * time.Second
	hopelessGrace = 2 * time.Second
	// lastGrace is what each task has beyond that.
	lastGrace = 100 * time.Millisecond
)

// Add names a task. Its run blocks until its context ends; a nil before that means it has nothing more to do.
func (g *Group) Add(name string, run func(ctx context.Context) error) {
	g.tasks = append(g.tasks, &task{name: name, run: run, done: make(chan struct{})})
}

// Run starts the tasks in the order they were added and returns once all have stopped: because ctx ended, because one failed,
// or because each was done. It returns the errors with the names of their tasks. A Group runs once.
func (g *Group) Run(ctx context.Context) error {
	failed := make(chan struct{}, len(g.tasks))
	for _, t := range g.tasks {
		// Values go down to the tasks; the end comes to each in its turn.
		own, cancel := context.WithCancel(context.WithoutCancel(ctx))
		t.cancel = cancel
		go func() {
			defer close(t.done)
			if t.err = t.run(own); t.err != nil {
				failed <- struct{}{}
			}
		}()
	}
	select {
	case <-ctx.Done():
	case <-failed:
	case <-g.allDone():
	}
	return g.stop()
}

// allDone is closed once every task has returned of itself.
func (g *Group) allDone() <-chan struct{} {
	all := make(chan struct{})
	go func() {
		defer close(all)
		for _, t := range g.tasks {
			<-t.done
		}
	}()
	return all
}

func (g *Group) stop() error {
	grace := g.Grace
	if grace == 0 {
		grace = defaultGrace
	}
	over, cancel := context.WithCancel(context.Background())
	var waiting sync.WaitGroup
	defer waiting.Wait()
	defer cancel()
	cut := make(chan struct{})
	waiting.Go(func() { g.cut(over, cut) })
	var errs []error
	for i := len(g.tasks) - 1; i >= 0; i-- {
		t := g.tasks[i]
		t.cancel()
		if err := t.await(grace, cut); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// cut closes a channel once what is left has had its time after all hope was gone.
func (g *Group) cut(ctx context.Context, cut chan<- struct{}) {
	select {
	case <-g.Hopeless:
	case <-ctx.Done():
		return
	}
	timer := time.NewTimer(hopelessGrace)
	defer timer.Stop()
	select {
	case <-timer.C:
		close(cut)
	case <-ctx.Done():
	}
}

// await waits for a stopping task and returns its result.
func (t *task) await(grace time.Duration, cut <-chan struct{}) error {
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-t.done:
		return t.ended()
	case <-timer.C:
		return fmt.Errorf("%s: did not stop within %s", t.name, grace)
	case <-cut:
	}
	timer.Reset(lastGrace)
	select {
	case <-t.done:
		return t.ended()
	case <-timer.C:
		return fmt.Errorf("%s: did not stop in time", t.name)
	}
}

func (t *task) ended() error {
	if t.err != nil && !errors.Is(t.err, context.Canceled) {
		return fmt.Errorf("%s: %w", t.name, t.err)
	}
	return nil
}
