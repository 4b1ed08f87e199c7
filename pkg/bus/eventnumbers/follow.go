package eventnumbers

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bus/internal/names"
	"github.com/outbound-events/outbound/pkg/bus/internal/wire"
	"github.com/outbound-events/outbound/pkg/delivery/numbering"
	"github.com/outbound-events/outbound/pkg/logkey"
	"github.com/outbound-events/outbound/pkg/pause"
	"github.com/outbound-events/outbound/pkg/telemetry"
)

const (
	// followTick is the pause between two looks for what nobody waits for, demandWait how long somebody waits so that what others are
	// about to ask for is read with it, lagWait the pause before a copy of the stream is asked again.
	followTick = time.Second
	demandWait = 300 * time.Microsecond
	lagWait    = 2 * time.Millisecond
	// keepEvery is the pause between two checkpoints; keepAlive that after which one is written though nothing was counted. Writing takes
	// no more than one part of keepShare of the time.
	keepEvery = 2 * time.Second
	keepAlive = 15 * time.Second
	keepShare = 50
	// trimEvery is the pause between two looks for what can be forgotten.
	trimEvery = time.Minute
	// lastWait bounds the last checkpoint.
	lastWait = time.Second
)

// errAgain says that all begins anew from the checkpoint.
var errAgain = errors.New("begin anew")

// follow counts from the checkpoint on, as long as the connection lasts.
func (n *Numbers) follow(ctx context.Context) error {
	connects := n.conn.Connects()
	k := &keeper{n: n, store: control.NewNumberStore(n.conn)}
	from, err := k.begin(ctx)
	if err != nil {
		return err
	}
	k.counter = numbering.NewCounter(string(n.channel), from)
	n.tell(k.counter)
	beside, cancel := context.WithCancel(ctx)
	var work sync.WaitGroup
	defer work.Wait()
	defer cancel()
	work.Go(func() { k.run(beside) })
	work.Go(func() { n.serveBelow(beside, k.counter) })
	tick := time.NewTicker(followTick)
	defer tick.Stop()
	for ctx.Err() == nil {
		if err := n.catchUp(ctx, k.counter, connects); err != nil {
			return err
		}
		n.succeed()
		select {
		case <-ctx.Done():
		case <-tick.C:
		case <-n.demand:
			pause.For(ctx, demandWait)
		}
		if n.conn.Connects() != connects {
			return errAgain
		}
	}
	return nil
}

// catchUp counts what was not offered. What somebody waits for was handed out, so that it is there: if a copy of the stream is asked that
// does not have it yet, it is asked again.
func (n *Numbers) catchUp(ctx context.Context, c *numbering.Counter, connects uint64) error {
	for {
		more, err := readFew(ctx, n.conn, c.Through()+1, c)
		if err == nil && more {
			_, err = readMany(ctx, n.conn, n.channel, c.Through()+1, none, c)
		}
		if err != nil || !c.Awaited() || n.conn.Connects() != connects {
			return err
		}
		if !pause.For(ctx, lagWait) {
			return nil
		}
	}
}

// serveBelow reads what stands in front of what a counter remembers, when somebody asks for it.
func (n *Numbers) serveBelow(ctx context.Context, c *numbering.Counter) {
	for {
		select {
		case <-ctx.Done():
			return
		case sequence := <-n.below:
			if err := n.readBelow(ctx, c, sequence); err != nil && ctx.Err() == nil {
				n.conn.Logger.Warn("reading events for the numbers of a backlog failed, retrying", telemetry.KeyError, err.Error())
				pause.For(ctx, againAfter)
			}
			n.tell(c)
		}
	}
}

func (n *Numbers) readBelow(ctx context.Context, c *numbering.Counter, sequence uint64) error {
	l := c.Lower(sequence)
	if l == nil {
		return nil
	}
	last, err := readMany(ctx, n.conn, n.channel, sequence, l.End()-1, l)
	if err == nil && last+1 < l.End() {
		err = errGap
	}
	l.Close(err == nil)
	return err
}

// keeper keeps the checkpoint of a counter.
type keeper struct {
	n        *Numbers
	store    control.NumberStore
	counter  *numbering.Counter
	revision uint64
	kept     uint64
}

// begin is the checkpoint to go on from, which is stored: what EVENTS has lost since is settled in it, so that all senders go by the same.
func (k *keeper) begin(ctx context.Context) (p numbering.Checkpoint, err error) {
	s, err := k.n.conn.JS.Stream(ctx, names.StreamEvents)
	if err != nil {
		return p, fmt.Errorf("look up stream %s: %w", names.StreamEvents, err)
	}
	have := s.CachedInfo().State
	if p, k.revision, err = k.store.Checkpoint(ctx, k.n.channel); err != nil {
		return p, err
	}
	was := p
	switch {
	case k.revision == 0:
		if p.Through, err = k.first(ctx, have); err != nil {
			return p, err
		}
	case have.FirstSeq > p.Through+1:
		p = p.Skip(have.FirstSeq - 1)
		k.n.conn.Logger.WarnContext(ctx, "events are gone that were not counted: the numbers of deliveries leave out as many", logkey.From,
			was.Through+1, logkey.Until, p.Through)
	case have.LastSeq < p.Through:
		p = p.Cut(have.LastSeq)
		k.n.conn.Logger.WarnContext(ctx, "the end of the events is missing: the numbers of deliveries go on behind those that were given",
			logkey.Last, have.LastSeq, logkey.Told, was.Through)
	default:
		k.kept = p.Through
		return p, nil
	}
	if k.revision, err = k.store.Put(ctx, k.n.channel, p, k.revision); errors.Is(err, wire.ErrConflict) {
		return p, errAgain
	}
	k.kept = p.Through
	return p, err
}

// first is the sequence in front of the first change that EVENTS holds, or its end if there is none.
func (k *keeper) first(ctx context.Context, have jetstream.StreamState) (uint64, error) {
	ms, err := k.n.conn.Direct(ctx, names.StreamEvents, wire.DirectRequest{Sequence: 1, NextFor: names.SubjectSelection})
	if err != nil {
		return 0, err
	}
	if len(ms) == 0 {
		return have.LastSeq, nil
	}
	return wire.StoredSequence(ms[0]) - 1, nil
}

// run writes checkpoints until ctx ends, and a last one then.
func (k *keeper) run(ctx context.Context) {
	written, trimmed, share := time.Now(), time.Now(), time.Duration(0)
	for said := ""; pause.For(ctx, max(keepEvery, share)); {
		if time.Since(trimmed) > trimEvery {
			trimmed = time.Now()
			k.counter.Trim()
		}
		if k.counter.Through() == k.kept && time.Since(written) < keepAlive {
			continue
		}
		began := time.Now()
		err := k.keep(ctx)
		share, written = keepShare*time.Since(began), time.Now()
		if err != nil && ctx.Err() == nil && err.Error() != said {
			said = err.Error()
			k.n.conn.Logger.Warn("the checkpoint of the numbers of deliveries was not written", telemetry.KeyError, said)
		}
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWait)
	defer cancel()
	if k.counter.Through() != k.kept {
		_ = k.keep(last) // the next start counts more
	}
}

// keep writes a checkpoint, unless another sender has counted further.
func (k *keeper) keep(ctx context.Context) error {
	p := k.counter.Checkpoint()
	if p.Through < k.kept {
		return nil
	}
	revision, err := k.store.Put(ctx, k.n.channel, p, k.revision)
	if err == nil {
		k.revision, k.kept = revision, p.Through
		return nil
	}
	if !errors.Is(err, wire.ErrConflict) {
		return err
	}
	other, revision, err := k.store.Checkpoint(ctx, k.n.channel)
	if err != nil {
		return err
	}
	k.revision, k.kept = revision, other.Through
	return nil
}
