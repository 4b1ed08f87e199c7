// Package lease lets one of several processes act. The lease is a key in the bucket of statuses, which its holder writes again and again by
// compare-and-set.
//
// Nothing compares clocks of two hosts. The holder counts from before it sent its last renewal, and stops acting after three quarters of
// the lease's time. A candidate counts from when it first saw the present revision, and takes the lease over after the whole time, by an
// update of that revision: a renewal that comes between the two fails the other. What the holder then still sends is bounded by the
// compare-and-set of what it writes.
package lease

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/outbound-events/outbound/pkg/bus/internal/names"
	"github.com/outbound-events/outbound/pkg/bus/internal/wire"
)

const (
	// Lasts is how long a lease lasts that is not renewed.
	Lasts = 8 * time.Second
	// parts is how often in that time a holder renews, and a candidate looks: a holder that is killed is replaced within 10 s, one that
	// stops in order within 2 s.
	parts = 5
)

var (
	// ErrLost says that another process has taken the lease over: this one must end.
	ErrLost = errors.New("another process has taken over")
	// ErrNotHeld says that the lease could not be renewed for so long that another process may have it.
	ErrNotHeld = errors.New("the lease could not be renewed")
)

// Holder says who holds a lease.
type Holder struct {
	// Instance tells processes apart.
	Instance string `json:"instance"`
	Host     string `json:"host,omitempty"`
	PID      int    `json:"pid,omitempty"`
}

// Options of a lease.
type Options struct {
	Conn *wire.Conn
	// Name of what only one process does, e.g. config.
	Name string
	Self Holder
	// Lasts is how long the lease lasts without a renewal. 0: 8 s.
	Lasts time.Duration
}

// Lease is one process's view of a lease.
type Lease struct {
	o   Options
	key string

	mu       sync.Mutex
	revision uint64
	// until is when this process must stop acting, by its own monotonic clock. lost says that another process has the lease.
	until   time.Time
	lost    bool
	changed chan struct{}
}

// prefix begins the keys of leases. What begins with "mark." in the bucket of statuses is no status of a recipient.
const prefix = "mark.lease."

// New returns a lease that is not held.
func New(o Options) *Lease {
	if o.Lasts == 0 {
		o.Lasts = Lasts
	}
	return &Lease{o: o, key: prefix + o.Name, changed: make(chan struct{})}
}

// seen is what a candidate has seen of the lease, and since when without a gap.
type seen struct {
	revision uint64
	since    time.Time
}

// Acquire waits until this process holds the lease. waits is told who has it.
func (l *Lease) Acquire(ctx context.Context, waits func(Holder)) error {
	var last seen
	for {
		err := l.try(ctx, &last, waits)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the lease of %s: %w (last: %w)", l.o.Name, ctx.Err(), err)
		case <-time.After(l.o.Lasts / parts):
		}
	}
}

// errTaken says that another process holds the lease.
var errTaken = errors.New("another process holds it")

// try looks at the lease once, and takes it if it is free or its holder has not renewed it for its whole time.
func (l *Lease) try(ctx context.Context, last *seen, waits func(Holder)) error {
	ctx, cancel := context.WithTimeout(ctx, l.o.Lasts/2)
	defer cancel()
	asked := time.Now()
	b, revision, holder, err := l.read(ctx)
	if err != nil {
		// What happens meanwhile is unknown: the holder gets its whole time again.
		*last = seen{}
		return err
	}
	if revision != last.revision {
		*last = seen{revision: revision, since: time.Now()}
	}
	if holder != nil && asked.Sub(last.since) < l.o.Lasts {
		if waits != nil {
			waits(*holder)
		}
		return errTaken
	}
	return l.take(ctx, b, revision)
}

// read returns the revision of the lease and who holds it: nobody, if it was released or never held. It asks the leader of the bucket
// first: a replica may know less, and without a leader no holder can renew.
func (l *Lease) read(ctx context.Context) (*wire.Bucket, uint64, *Holder, error) {
	b, err := l.o.Conn.Bucket(ctx, names.BucketStatus)
	if err != nil {
		return nil, 0, nil, err
	}
	if _, err := b.Revision(ctx); err != nil {
		return nil, 0, nil, err
	}
	e, err := b.Get(ctx, l.key)
	if errors.Is(err, wire.ErrNotFound) {
		return b, 0, nil, nil
	}
	if err != nil {
		return nil, 0, nil, err
	}
	var h Holder
	if json.Unmarshal(e.Value, &h) == nil && h.Instance != "" {
		return b, e.Revision, &h, nil
	}
	return b, e.Revision, nil, nil // a value that is damaged names nobody
}

// take writes the lease, if its revision is the one named.
func (l *Lease) take(ctx context.Context, b *wire.Bucket, revision uint64) error {
	value, err := json.Marshal(l.o.Self)
	if err != nil {
		return err
	}
	sent := time.Now()
	if revision == 0 {
		revision, err = b.Create(ctx, l.key, value)
	} else {
		revision, err = b.Update(ctx, l.key, value, revision)
	}
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.revision, l.until = revision, sent.Add(l.o.Lasts*3/4)
	close(l.changed)
	l.changed = make(chan struct{})
	return nil
}

// Run renews the lease until ctx ends, then releases it. It returns ErrLost once another process has it.
func (l *Lease) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			l.release(context.WithoutCancel(ctx))
			return nil
		case <-time.After(l.o.Lasts / parts):
		}
		if err := l.renew(ctx); errors.Is(err, ErrLost) {
			return err
		}
	}
}

func (l *Lease) renew(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, l.o.Lasts/2)
	defer cancel()
	b, err := l.o.Conn.Bucket(ctx, names.BucketStatus)
	if err != nil {
		return err
	}
	err = l.take(ctx, b, l.held())
	if err == nil || !errors.Is(err, wire.ErrConflict) {
		return err
	}
	_, revision, holder, readErr := l.read(ctx)
	if readErr != nil {
		return readErr
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if holder != nil && *holder == l.o.Self {
		l.revision = revision // a renewal of this process whose answer was lost
		return nil
	}
	l.lost = true
	close(l.changed)
	l.changed = make(chan struct{})
	if holder == nil {
		return fmt.Errorf("the lease of %s: %w", l.o.Name, ErrLost)
	}
	return fmt.Errorf("the lease of %s: %w: process %d on %s", l.o.Name, ErrLost, holder.PID, holder.Host)
}

func (l *Lease) held() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.revision
}

// Hold returns nil if this process may act now. While the lease can't be renewed, it waits for that until ctx ends: ErrNotHeld. Once
// another process has the lease it is ErrLost.
func (l *Lease) Hold(ctx context.Context) error {
	for {
		l.mu.Lock()
		lost, left, changed := l.lost, time.Until(l.until), l.changed
		l.mu.Unlock()
		if lost {
			return fmt.Errorf("the lease of %s: %w", l.o.Name, ErrLost)
		}
		if left > 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the lease of %s: %w: %w", l.o.Name, ErrNotHeld, ctx.Err())
		case <-changed:
		}
	}
}

// releaseTimeout bounds the release of a lease. One that is not released ends by itself.
const releaseTimeout = time.Second

// release gives the lease up, so that another process need not wait for its end.
func (l *Lease) release(ctx context.Context) {
	l.mu.Lock()
	revision, lost := l.revision, l.lost
	l.until = time.Time{}
	l.mu.Unlock()
	if lost {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, releaseTimeout)
	defer cancel()
	if b, err := l.o.Conn.Bucket(ctx, names.BucketStatus); err == nil {
		_ = b.Delete(ctx, l.key, revision)
	}
}
