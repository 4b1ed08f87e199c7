package wire

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// ErrNotSynced says that a message may be stored, and that it is not known to be on disk. Nothing is stored after it until the store is
// opened again.
var ErrNotSynced = errors.New("not synced to disk")

// kept are the messages of a group that the broker has stored.
type kept struct {
	k     *Committer
	group []*Post
	// which and receipts are of those that wait for a sync, newest is the highest sequence.
	which    []int
	receipts []Receipt
	newest   uint64
}

func (k *Committer) keep(group []*Post) *kept { return &kept{k: k, group: group} }

// stored answers a message at once if the broker syncs, else after sync.
func (s *kept) stored(i int, r Receipt) {
	if s.k.conn.Disk == nil {
		s.group[i].Done(r, nil)
		return
	}
	s.which, s.receipts, s.newest = append(s.which, i), append(s.receipts, r), max(s.newest, r.Sequence)
}

// sync has all that was stored reach the disk, and answers it. What can't be synced is left with an unknown result in errs. A disk that
// answers nothing is waited for no longer than ctx.
func (s *kept) sync(ctx context.Context, errs []error) {
	if len(s.which) == 0 {
		return
	}
	s.k.idle(s.group)
	synced := make(chan error, 1)
	go func() { synced <- s.k.conn.Disk.Sync(s.k.stream, s.newest) }()
	var err error
	select {
	case err = <-synced:
	case <-ctx.Done():
		err = ctx.Err()
	}
	for n, i := range s.which {
		if err != nil {
			errs[i] = notSynced(err)
			continue
		}
		s.group[i].Done(s.receipts[n], nil)
	}
}

// notSynced is the result of a message that may be stored.
func notSynced(err error) error { return fmt.Errorf("%w: %w: %w", errUnknown, ErrNotSynced, err) }

// publish publishes each message by itself, and has what is stored reach the disk where this process syncs. Nothing is stored while that
// is not possible.
func (k *Committer) publish(group []*Post) []error {
	if k.conn.Disk != nil {
		if err := k.conn.Disk.Err(); err != nil {
			return slices.Repeat([]error{notSynced(err)}, len(group))
		}
	}
	kept := k.keep(group)
	errs := k.answers.publish(k.ctx, group, kept.stored)
	kept.sync(k.ctx, errs)
	return errs
}
