package wire

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// How groups are made where this process syncs (ADR 0015): a group costs one sync, whatever is in it, and while one is written the next
// one comes together by itself. So a wait is short, and ends as soon as no more come that somebody waits for.
const (
	syncedEventWait = time.Millisecond
	syncedEventStep = 250 * time.Microsecond
	// syncedRecordWait is shorter than an attempt waits for a place, so that senders go on while their records are written.
	syncedRecordWait = 5 * time.Millisecond
	syncedRecordStep = time.Millisecond
	// syncedIntakeWait is how long records that nobody waits for are stored without a sync of their own. That of the first attempt, which a
	// sender writes and has synced, comes soon after that of the acceptance, and takes that along.
	syncedIntakeWait = 10 * time.Millisecond
)

// synced is how a committer waits in a process that syncs.
func (l BatchWait) synced() BatchWait {
	l.longest, l.background, l.step = syncedEventWait, syncedEventWait, syncedEventStep
	if l.linked {
		l.longest, l.background, l.step = syncedRecordWait, syncedIntakeWait, syncedRecordStep
	}
	return l
}

// gather takes what waits. If something does, it lingers for more.
func (k *Committer) gather(first *Post) []*Post {
	k.took(first)
	if k.conn.Disk != nil && !k.conn.relaxed {
		k.linger(first)
	} else {
		k.await(first)
	}
	group := append(make([]*Post, 0, min(len(k.in)+1, maxGroup)), first)
	for len(group) < maxGroup {
		select {
		case p, ok := <-k.in:
			if !ok {
				return group
			}
			k.took(p)
			group = append(group, p)
		default:
			return group
		}
	}
	return group
}

// await waits for company beside the first.
func (k *Committer) await(first *Post) {
	before, most := 0, k.wait.longest
	if first.Background {
		most = k.wait.background
	}
	for waited := time.Duration(0); waited < most; waited += k.wait.step {
		n := len(k.in)
		if n == 0 || n >= maxGroup-1 || k.wait.growing && n <= before {
			return
		}
		before = n
		time.Sleep(k.wait.step)
	}
}

// linger waits for company beside the first, in a process that syncs.
func (k *Committer) linger(first *Post) {
	mine := 1
	if first.Background {
		mine = 0
	}
	before := 1
	for waited := time.Duration(0); waited < k.wait.longest; waited += k.wait.step {
		have := mine + int(k.urgent.Load())
		if have <= before || len(k.in) >= maxGroup-1 {
			return
		}
		before = have
		time.Sleep(k.wait.step)
	}
}

// idle waits, if nobody waits for a group, until the sync of another writer has taken it along, a message comes that somebody waits for, or
// the time is over.
func (k *Committer) idle(group []*Post) {
	if slices.ContainsFunc(group, func(p *Post) bool { return !p.Background }) {
		return
	}
	timer := time.NewTimer(k.wait.background)
	defer timer.Stop()
	for k.urgent.Load() == 0 && !k.closing.Load() {
		select {
		case <-k.company:
		case <-timer.C:
			return
		case <-k.ctx.Done():
			return
		}
	}
}

// queued counts a message that goes into the queue, and took one that has left it.
func (k *Committer) queued(p *Post) {
	if !p.Background {
		k.urgent.Add(1)
	}
}

func (k *Committer) took(p *Post) {
	if !p.Background {
		k.urgent.Add(-1)
	}
}

// tell has idle look again.
func (k *Committer) tell() {
	select {
	case k.company <- struct{}{}:
	default:
	}
}

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
