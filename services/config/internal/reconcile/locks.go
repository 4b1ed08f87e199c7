package reconcile

import (
	"context"
	"fmt"
	"hash/fnv"
)

// locks has the consumer of a recipient changed by one goroutine at a time, from the moment the recipient is read until the consumer is
// what was read. Without it a slow one would put back an older state after a newer one was acknowledged, and what is accepted in
// that moment passes the consumer by for good. Recipients may share a lock, so nobody waits for one while holding another.
type locks [64]chan struct{}

func newLocks() *locks {
	l := &locks{}
	for i := range l {
		l[i] = make(chan struct{}, 1)
	}
	return l
}

// acquire waits for the lock of a recipient, or until ctx ends.
func (l *locks) acquire(ctx context.Context, id string) (release func(), err error) {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id))
	lock := l[h.Sum32()%uint32(len(l))]
	select {
	case lock <- struct{}{}:
		return func() { <-lock }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for the queue of recipient %s: %w", id, ctx.Err())
	}
}
