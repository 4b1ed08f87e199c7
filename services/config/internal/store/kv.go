package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/pause"
	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/services/config/internal/loop"
)

// KV is a bucket of the broker. It opens the bucket at its first use, so that the service may start before the broker has it.
type KV struct {
	conn *bus.Conn
	name string
	hold Hold
	// dirty is set when what was read of the bucket may be old: its watch reports a change, or this process wrote.
	dirty loop.Signal

	// applied is called after each change.
	applied func(ctx context.Context, b *KV, key string, revision uint64)

	// past is where earlier revisions are that were sealed anew. prepare makes the value that is written.
	past    *KV
	prepare Prepare

	mu     sync.Mutex
	bucket *bus.Bucket
}

// Prepare returns the value that is written in place of a mutation's, and a function that is called once it is written or not.
type Prepare func(ctx context.Context, b *KV, m Mutation) (value []byte, done func(), err error)

// OnApply has each value prepared before it is written. It is called once, before the first change.
func (b *KV) OnApply(f Prepare) { b.prepare = f }

// Hold returns nil if this process may change something now. See lease.Lease.
type Hold func(ctx context.Context) error

// Check is Hold in the words of a call's error. Nil: there is no lease.
func (h Hold) Check(ctx context.Context) error {
	if h == nil {
		return nil
	}
	if err := h(ctx); err != nil {
		text := "nothing was changed, because another config service may have taken over: try again"
		return fmt.Errorf("%w: %w", err, rpc.Unavailable(text))
	}
	return nil
}

// NewKV returns the bucket of a name, which is only changed while hold allows it.
func NewKV(conn *bus.Conn, name string, hold Hold) *KV {
	return &KV{conn: conn, name: name, hold: hold, dirty: loop.NewSignal()}
}

// Name returns the bucket's name.
func (b *KV) Name() string { return b.name }

// OnApplied has f called after each change that this process makes, with its revision, 0 if the key was removed. It is called once, before
// the first change.
func (b *KV) OnApplied(f func(ctx context.Context, b *KV, key string, revision uint64)) {
	b.applied = f
}

// Dirty returns the signal that is set when what was read of the bucket may be old.
func (b *KV) Dirty() loop.Signal { return b.dirty }

func (b *KV) open(ctx context.Context) (*bus.Bucket, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.bucket == nil {
		kv, err := b.conn.Bucket(ctx, b.name)
		if err != nil {
			return nil, err
		}
		b.bucket = kv
	}
	return b.bucket, nil
}

// requestTimeout bounds one request to the broker, with its repeats while a cluster elects a leader, which takes 4 to 10 s. A call has
// 30 s.
const requestTimeout = 12 * time.Second

// WithTimeout makes one request to the broker, in bounded time.
func WithTimeout[T any](ctx context.Context, request func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	return request(ctx)
}

// withBucket makes one request to the opened bucket, in bounded time.
func withBucket[T any](ctx context.Context, b *KV, request func(context.Context, *bus.Bucket) (T, error)) (T, error) {
	return WithTimeout(ctx, func(ctx context.Context) (T, error) {
		kv, err := b.open(ctx)
		if err != nil {
			var none T
			return none, err
		}
		return request(ctx, kv)
	})
}

// Get implements Store.
func (b *KV) Get(ctx context.Context, key string) (bus.Entry, error) {
	return withBucket(ctx, b, func(ctx context.Context, kv *bus.Bucket) (bus.Entry, error) { return kv.Get(ctx, key) })
}

// List implements Store.
func (b *KV) List(ctx context.Context, prefix string) ([]bus.Entry, error) {
	return withBucket(ctx, b, func(ctx context.Context, kv *bus.Bucket) ([]bus.Entry, error) { return kv.All(ctx, prefix) })
}

// Apply implements Store.
func (b *KV) Apply(ctx context.Context, m Mutation) (uint64, error) {
	if b.prepare != nil && !m.Remove {
		value, done, err := b.prepare(ctx, b, m)
		if err != nil {
			return 0, err
		}
		defer done()
		m.Value = value
	}
	return b.ApplyPrepared(ctx, m)
}

// ApplyPrepared is Apply of a value that needs no preparation.
func (b *KV) ApplyPrepared(ctx context.Context, m Mutation) (uint64, error) {
	defer b.dirty.Set()
	n := m.note(ctx)
	written, err := withBucket(ctx, b, func(ctx context.Context, kv *bus.Bucket) (uint64, error) {
		if err := b.hold.Check(ctx); err != nil {
			return 0, err
		}
		if m.Remove {
			return 0, kv.Remove(ctx, m.Key, m.Revision, n)
		}
		return kv.Write(ctx, m.Key, m.Value, m.Revision, n)
	})
	if errors.Is(err, bus.ErrExists) {
		err = fmt.Errorf("%w (%w)", bus.ErrConflict, err)
	}
	if err == nil && b.applied != nil {
		b.applied(ctx, b, m.Key, written)
	}
	return written, err
}

// Revision returns the last revision of the bucket, of whatever key.
func (b *KV) Revision(ctx context.Context) (uint64, error) {
	return withBucket(ctx, b, func(ctx context.Context, kv *bus.Bucket) (uint64, error) { return kv.Revision(ctx) })
}

// Changes returns the changes of keys that match a pattern, newest first, up to a limit, those that were sealed anew included. See
// bus.Bucket.Changes.
func (b *KV) Changes(ctx context.Context, keys string, before uint64, limit int) ([]bus.Change, error) {
	live, err := b.Live(ctx, keys, before, limit)
	if err != nil {
		return nil, err
	}
	return b.withPast(ctx, live, keys, before, limit)
}

// Live is Changes without those that were sealed anew.
func (b *KV) Live(ctx context.Context, keys string, before uint64, limit int) ([]bus.Change, error) {
	return withBucket(ctx, b, func(ctx context.Context, kv *bus.Bucket) ([]bus.Change, error) {
		return kv.Changes(ctx, keys, before, limit)
	})
}

// ChangeAt returns the change of a key at a revision. It is nil if the bucket has none.
func (b *KV) ChangeAt(ctx context.Context, key string, revision uint64) (*bus.Change, error) {
	found, err := withBucket(ctx, b, func(ctx context.Context, kv *bus.Bucket) (*bus.Change, error) {
		c, ok, err := kv.ChangeAt(ctx, key, revision)
		if err != nil || !ok {
			return nil, err
		}
		return &c, nil
	})
	if err != nil || found != nil {
		return found, err
	}
	return b.pastAt(ctx, key, revision)
}

// ChangeBefore returns the change of a key before a revision. It is empty if there is none.
func (b *KV) ChangeBefore(ctx context.Context, key string, revision uint64) (bus.Change, error) {
	found, err := withBucket(ctx, b, func(ctx context.Context, kv *bus.Bucket) (bus.Change, error) {
		c, _, err := kv.ChangeBefore(ctx, key, revision)
		return c, err
	})
	if err != nil {
		return found, err
	}
	past, err := b.Past(ctx, key)
	for _, c := range past {
		if c.Revision < revision && c.Revision > found.Revision {
			return c, err
		}
	}
	return found, err
}

// reopenPause is how long Watch waits before it tries again to open the bucket.
const reopenPause = 250 * time.Millisecond

// Watch sets Dirty at each change, and calls reconnected before the first and when the connection is a new one, until ctx ends.
func (b *KV) Watch(ctx context.Context, reconnected func()) {
	connects := uint64(0)
	for ctx.Err() == nil {
		kv, err := b.open(ctx)
		if err != nil {
			pause.For(ctx, reopenPause)
			continue
		}
		_ = kv.Watch(ctx, func() {
			if now := b.conn.Connects(); now != connects {
				// What happened before this connection is unknown.
				connects = now
				reconnected()
			}
			b.dirty.Set()
		})
	}
}
