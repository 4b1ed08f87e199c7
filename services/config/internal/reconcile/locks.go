package reconcile

import (
	"context"
	"fmt"
	"hash/fnv"
)

// locks serialize changes of a recipient's consumer, from reading the recipient until the consumer is what was read. Without them, a slow
// goroutine could restore an older state after a newer one was answered, and the consumer would miss what is accepted then. Recipients
// may share a lock; a goroutine holds at most one.
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
		return nil, fmt.Errorf("wait for the consumer of recipient %s: %w", id, ctx.Err())
	}
}
