// Package anchor keeps the tree over the delivery log: it appends records as they are stored, and signs a checkpoint every minute.
// Of several processes one does.
package anchor

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/checkpoints"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/bus/lease"
	"github.com/outbound-events/outbound/pkg/delivery/chain"
	"github.com/outbound-events/outbound/pkg/pause"
	"github.com/outbound-events/outbound/pkg/telemetry"
	"github.com/outbound-events/outbound/pkg/tlog"
)

const (
	// leaseLasts is for how long a process that was killed keeps the others from signing. What is stored meanwhile is signed later.
	leaseLasts = 20 * time.Second
	// again is the pause before a process that could not go on reads where the tree ends.
	again = time.Second
	// lastWait bounds the checkpoint that a process signs when it ends.
	lastWait = 2 * time.Second
	// maxPending is how many entries are kept in memory. Beyond, records are read from the log.
	maxPending = 64 * tlog.MaxEntries
)

// Deps are what a keeper needs, all required but Lease.
type Deps struct {
	Bus         *bus.Conn
	Log         *deliverylog.Records
	Checkpoints *checkpoints.Log
	Keys        *tlog.Keys
	// Every is the time between two checkpoints.
	Every  time.Duration
	Logger *slog.Logger
	// Lease is for how long a process that was killed keeps the others from signing. 0: 20 s.
	Lease time.Duration
}

// Keeper keeps the tree.
type Keeper struct {
	Deps

	mu sync.Mutex
	// leads says that this process keeps the tree. pending are records that it has been told of and not appended yet, seen is the last
	// sequence that it was told of.
	leads   bool
	pending []tlog.Entry
	seen    uint64
	// stale says that the log is another one than was told.
	stale bool

	full chan struct{}
	asks chan chan error
}

// New makes a keeper.
func New(d Deps) *Keeper {
	return &Keeper{Deps: d, full: make(chan struct{}, 1), asks: make(chan chan error)}
}

// Stored takes a record that was stored.
func (k *Keeper) Stored(g deliverylog.RecordHeader) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.seen = g.Sequence
	if !k.leads || len(k.pending) >= maxPending {
		return
	}
	// What has no digest is read from the log later.
	digest, ok := chain.ParseDigest(g.Digest)
	if !ok {
		return
	}
	k.pending = append(k.pending, tlog.Entry{Sequence: g.Sequence, Stored: g.Stored, Subject: g.Subject, Digest: digest})
	if len(k.pending)%tlog.MaxEntries == 0 {
		wake(k.full)
	}
}

// Again notes that the log is not the one any more that was told.
func (k *Keeper) Again() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.stale, k.pending = true, nil
	wake(k.full)
}

func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// lead begins or ends that records are kept for this process to append.
func (k *Keeper) lead(yes bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.leads, k.pending, k.stale = yes, nil, false
}

// take returns what is to be appended, and the last sequence that was told.
func (k *Keeper) take() (pending []tlog.Entry, seen uint64, stale bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	pending, k.pending = k.pending, nil
	return pending, k.seen, k.stale
}

// ErrElsewhere says that another process keeps the tree.
var ErrElsewhere = errors.New("another process signs checkpoints")

// askWait is how long a process that keeps the tree is waited for.
const askWait = 2 * time.Second

// Cover signs a checkpoint that covers all records that are stored, if this process keeps the tree: else ErrElsewhere.
func (k *Keeper) Cover(ctx context.Context) error {
	done := make(chan error, 1)
	late, cancel := context.WithTimeout(ctx, askWait)
	defer cancel()
	select {
	case k.asks <- done:
	case <-late.Done():
		return errors.Join(ErrElsewhere, ctx.Err())
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Run keeps the tree whenever no other process does, until ctx ends.
func (k *Keeper) Run(ctx context.Context) {
	self := control.NewPresence("history", "")
	for ctx.Err() == nil {
		l := lease.New(lease.Options{Conn: k.Bus, Name: "checkpoints", Lasts: cmp.Or(k.Lease, leaseLasts),
			Self: lease.Holder{Instance: self.Instance, Host: self.Host, PID: self.PID}})
		if l.Acquire(ctx, nil) != nil {
			return
		}
		k.hold(ctx, l)
	}
}

// hold keeps the tree until ctx ends or another process has the lease.
func (k *Keeper) hold(ctx context.Context, l *lease.Lease) {
	leading, lost := context.WithCancelCause(ctx)
	defer lost(nil)
	// The lease is kept until the last checkpoint is signed.
	holding, release := context.WithCancel(context.WithoutCancel(ctx))
	var renewing sync.WaitGroup
	renewing.Go(func() {
		if err := l.Run(holding); err != nil {
			lost(err)
		}
	})
	defer renewing.Wait()
	defer release()
	said := ""
	for leading.Err() == nil {
		err := k.keep(leading)
		if err == nil || leading.Err() != nil {
			continue
		}
		if text := err.Error(); text != said && !errors.Is(err, bus.ErrConflict) {
			k.Logger.WarnContext(ctx, "the checkpoints of the delivery log are delayed, retrying", telemetry.KeyError, text)
			said = text
		}
		pause.For(leading, again)
	}
}

// keep appends and signs from where the tree ends, until ctx ends or it has to read anew where that is.
func (k *Keeper) keep(ctx context.Context) error {
	k.lead(true)
	defer k.lead(false)
	b, err := k.open(ctx)
	if err != nil {
		return err
	}
	tick := time.NewTicker(k.Every)
	defer tick.Stop()
	if err := k.step(ctx, b, true); err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			if errors.Is(context.Cause(ctx), lease.ErrLost) {
				return nil
			}
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWait)
			defer cancel()
			return k.step(last, b, true)
		case <-k.full:
			err = k.step(ctx, b, false)
		case <-tick.C:
			err = k.step(ctx, b, true)
		case done := <-k.asks:
			err = k.cover(ctx, b)
			done <- err
		}
		if err != nil {
			return err
		}
	}
}

// cover signs a checkpoint over all that is stored, told or not.
func (k *Keeper) cover(ctx context.Context, b *border) error {
	extent, err := k.Log.Extent(ctx)
	if err != nil {
		return err
	}
	if err := k.step(ctx, b, false); err != nil {
		return err
	}
	if err := b.fill(ctx, extent.Last+1); err != nil {
		return err
	}
	return b.sign(ctx)
}

var errStale = errors.New("the end of the delivery log was lost")

// step appends what was told meanwhile.
func (k *Keeper) step(ctx context.Context, b *border, sign bool) error {
	pending, seen, stale := k.take()
	if stale {
		return errStale
	}
	for _, e := range pending {
		if err := b.append(ctx, e); err != nil {
			return err
		}
	}
	if !sign {
		return nil
	}
	if err := b.fill(ctx, seen+1); err != nil {
		return err
	}
	return b.sign(ctx)
}
