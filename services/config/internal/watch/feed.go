// Package watch keeps the state of the buckets in memory and streams it to watchers.
package watch

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/outbound-events/outbound/pkg/logkey"
	"github.com/outbound-events/outbound/pkg/pause"
	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/pkg/telemetry"
	"github.com/outbound-events/outbound/services/config/internal/store"
)

// Deps are what a feed works with.
type Deps struct {
	KV *store.KV
	// Reconnected is called when changes of the bucket may have been missed.
	Reconnected func()
	Logger      *slog.Logger
}

// feed is the state of one bucket, read again after each change.
type feed[T any] struct {
	Deps
	state *snapshot[T]
	// stopping is closed when run begins to end, so that streams end.
	stopping chan struct{}
}

func newFeed[T any](d Deps) *feed[T] {
	return &feed[T]{Deps: d, state: newSnapshot[T](), stopping: make(chan struct{})}
}

// reloadPause is how long a feed waits before it reads again what could not be read.
const reloadPause = 250 * time.Millisecond

// run calls load at the start and after each change of the bucket until ctx ends. One goroutine loads, so that loads do not overtake each
// other; changes that come meanwhile are joined.
func (f *feed[T]) run(ctx context.Context, load func(context.Context) error) {
	var wg sync.WaitGroup
	wg.Go(func() { f.KV.Watch(ctx, f.Reconnected) })
	defer wg.Wait()
	for {
		select {
		case <-ctx.Done():
			close(f.stopping)
			return
		case <-f.KV.Dirty():
		}
		for ctx.Err() == nil {
			err := load(ctx)
			if err == nil || ctx.Err() != nil {
				break
			}
			f.Logger.WarnContext(ctx, "read of the configuration failed, retrying", logkey.Bucket, f.KV.Name(), telemetry.KeyError, err.Error())
			pause.For(ctx, reloadPause)
		}
	}
}

// await returns at the next change, or with an error when the stream or the service ends.
func (f *feed[T]) await(ctx context.Context, changed <-chan struct{}) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-f.stopping:
		return rpc.Unavailable("the config service is stopping: reconnect in a moment")
	case <-changed:
		return nil
	}
}
