package config

import (
	"context"
	"sync"
	"time"
)

// snapshot shows the latest state to any number of readers. Each reader goes at its own pace and sees the newest state when it
// looks; nobody waits for a slow one.
type snapshot[T any] struct {
	mu    sync.Mutex
	value T
	set   bool
	// changed is closed and replaced at each change.
	changed chan struct{}
}

func newSnapshot[T any]() *snapshot[T] { return &snapshot[T]{changed: make(chan struct{})} }

// show replaces the state. The value must not be changed afterwards.
func (b *snapshot[T]) show(v T) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.put(v)
}

// update replaces the state by what f makes of it, if there is a state and f says that it is another one.
func (b *snapshot[T]) update(f func(T) (T, bool)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.set {
		return
	}
	if v, other := f(b.value); other {
		b.put(v)
	}
}

// put tells the readers. The caller holds mu.
func (b *snapshot[T]) put(v T) {
	b.value, b.set = v, true
	close(b.changed)
	b.changed = make(chan struct{})
}

// look returns the state, whether there is one yet, and a channel that is closed at the next change.
func (b *snapshot[T]) read() (v T, ok bool, changed <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.value, b.set, b.changed
}

// reload pauses after a state could not be read, before the next try.
const reloadPause = 250 * time.Millisecond

// follow calls load at the start and after each change of a bucket until ctx ends. One goroutine loads, so loads do not
// overtake each other; changes that come meanwhile are joined.
func (s *Service) follow(ctx context.Context, b *bucket, load func(context.Context) error) {
	var wg sync.WaitGroup
	wg.Go(func() { s.hints(ctx, b) })
	defer wg.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case <-b.dirty:
		}
		for ctx.Err() == nil {
			err := load(ctx)
			if err == nil || ctx.Err() != nil {
				break
			}
			s.log.WarnContext(ctx, "read of the configuration failed, retrying", "bucket", b.name, "error", err.Error())
			pause(ctx, reloadPause)
		}
	}
}

// hints passes a bucket's hints on. Until the bucket can be opened it tries again.
func (s *Service) hints(ctx context.Context, b *bucket) {
	since := time.Time{}
	for ctx.Err() == nil {
		kv, err := b.open(ctx)
		if err != nil {
			pause(ctx, reloadPause)
			continue
		}
		_ = kv.Watch(ctx, func() {
			if now := s.bus.Since(); !now.Equal(since) {
				// The first hint, or the first on a new connection: what happened meanwhile is unknown.
				since = now
				signal(s.reconcileSoon)
			}
			signal(b.dirty)
		})
	}
}

// signal wakes the reader of a channel of capacity one. Signals that come before it wakes are joined.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
