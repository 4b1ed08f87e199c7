package process_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outbound-events/outbound/pkg/process"
)

func TestTasksStopLastFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var stopped []string
		var g process.Group
		for _, name := range []string{"broker", "ingest", "http"} {
			g.Add(name, func(ctx context.Context) error {
				<-ctx.Done()
				time.Sleep(time.Second)
				mu.Lock()
				defer mu.Unlock()
				stopped = append(stopped, name)
				return ctx.Err()
			})
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := g.Run(ctx); err != nil {
			t.Error(err)
		}
		if want := []string{"http", "ingest", "broker"}; !slices.Equal(stopped, want) {
			t.Errorf("stopped %v, want %v", stopped, want)
		}
	})
}

func TestATaskThatFailsStopsTheOthersAndIsNamed(t *testing.T) {
	broke := errors.New("disk is full")
	var g process.Group
	stopped := false
	g.Add("broker", func(ctx context.Context) error { <-ctx.Done(); stopped = true; return nil })
	g.Add("ingest", func(context.Context) error { return broke })
	err := g.Run(t.Context())
	if !errors.Is(err, broke) || err.Error() != "ingest: disk is full" || !stopped {
		t.Errorf("error is %v, broker stopped: %v", err, stopped)
	}
}

func TestAGroupEndsWhenAllTasksAreDone(t *testing.T) {
	var g process.Group
	g.Add("once", func(context.Context) error { return nil })
	g.Add("twice", func(context.Context) error { return nil })
	if err := g.Run(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestATaskThatDoesNotStopIsLeftBehindAndNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		let := make(chan struct{})
		stopped := false
		g := process.Group{Grace: 3 * time.Second}
		g.Add("broker", func(ctx context.Context) error { <-ctx.Done(); stopped = true; return nil })
		g.Add("stuck", func(context.Context) error { <-let; return nil })
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := g.Run(ctx)
		if err == nil || !strings.Contains(err.Error(), "stuck: did not stop within 3s") || !stopped {
			t.Errorf("error is %v, broker stopped: %v", err, stopped)
		}
		close(let)
	})
}

// Once all hope is gone the tasks that are left share a moment, however many they are.
func TestTasksThatDoNotStopShareAMomentWhenWaitingIsOfNoUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		let, hopeless := make(chan struct{}), make(chan struct{})
		stopped := false
		g := process.Group{Hopeless: hopeless}
		g.Add("broker", func(ctx context.Context) error { <-ctx.Done(); stopped = true; return nil })
		for _, name := range []string{"a", "b", "c", "d"} {
			g.Add(name, func(context.Context) error { <-let; return nil })
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		time.AfterFunc(5*time.Second, func() { close(hopeless) })
		began := time.Now()
		err := g.Run(ctx)
		if took := time.Since(began); took < 7*time.Second || took > 8*time.Second {
			t.Errorf("it took %v", took)
		}
		for _, name := range []string{"a", "b", "c", "d"} {
			if err == nil || !strings.Contains(err.Error(), name+": did not stop in time") {
				t.Errorf("%s is not named in %v", name, err)
			}
		}
		if !stopped {
			t.Error("the broker was not told to stop")
		}
		close(let)
	})
}
