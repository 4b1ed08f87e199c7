// Package reconcile keeps the consumers and names of recipients in step with the recipients, drains the queues of those that are deleted,
// and frees storage in EVENTS.
package reconcile

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bus/queue"
	"github.com/outbound-events/outbound/pkg/notice"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/telemetry"
	"github.com/outbound-events/outbound/services/config/internal/store"
)

// drainPause is the least pause between two passes while a queue is drained or purged. The pause is drainShare times as long as the last
// pass took, if that is more.
const (
	drainPause = time.Second
	drainShare = 4
)

// Reconciler compares recipients with their consumers and names, and repairs what differs.
type Reconciler struct {
	bus       *bus.Conn
	entries   store.Store
	stored    *store.Recipients
	names     *store.Names
	consumers *Consumers
	every     time.Duration
	log       *slog.Logger
	// delayed are the waiting deliveries of queues that are purged or drained. Only the loop uses it.
	delayed map[string]*queue.Delayed
	// emptySince is when the queue of a recipient that is being deleted was first seen empty. Only the loop uses it.
	emptySince map[string]time.Time
	// lost are the keys of the notices about queues whose recipient was lost. Only the loop uses it.
	lost    map[string]bool
	notices *notice.Board
}

// Deps are what a reconciler works with.
type Deps struct {
	// Entries is the bucket of recipients; Names are those in it.
	Entries   store.Store
	Names     *store.Names
	Consumers *Consumers
	// Every is the pause between two passes.
	Every time.Duration
	// Notices take what people must know. Nil: nobody is told.
	Notices *notice.Board
}

// New returns a reconciler.
func New(d Deps) *Reconciler {
	return &Reconciler{
		bus: d.Consumers.bus, entries: d.Entries, stored: d.Consumers.stored, names: d.Names, consumers: d.Consumers, every: d.Every,
		notices: d.Notices, log: d.Consumers.log, delayed: map[string]*queue.Delayed{}, emptySince: map[string]time.Time{},
	}
}

// Run makes a pass at the start, on each reconnect, on request, and at least once per Deps.Every, until ctx ends.
func (s *Reconciler) Run(ctx context.Context) {
	for ctx.Err() == nil {
		began := time.Now()
		draining, err := s.reconcile(ctx)
		next := s.every
		if err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "reconciliation failed, retrying", telemetry.KeyError, err.Error())
			next = min(next, drainPause)
		} else if draining {
			next = min(next, max(drainPause, drainShare*time.Since(began)))
		}
		t := time.NewTimer(next)
		select {
		case <-ctx.Done():
		case <-s.consumers.soon:
		case <-t.C:
		}
		t.Stop()
	}
}

// listTimeout bounds the listing of all consumers. Thousands of them come in pages, and in a cluster each page waits for servers that do
// not answer.
const listTimeout = 30 * time.Second

// pass is the state that one pass compares. It may be outdated: before a change, the pass reads again what the change depends on.
type pass struct {
	consumers control.Consumers
	// unclaimed are the consumers, by name, of which no recipient has been found yet. names are the keys of names likewise.
	unclaimed map[string]bool
	names     map[string]bus.Entry
	all       []store.Recipient
	faults    []error
}

// readState reads the state that a pass compares.
func (s *Reconciler) readState(ctx context.Context) (*pass, error) {
	listing, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	listed, err := control.New(s.bus).Consumers(listing)
	if err != nil {
		return nil, err
	}
	named, err := s.entries.List(ctx, store.PrefixName)
	if err != nil {
		return nil, err
	}
	entries, err := s.entries.List(ctx, store.PrefixRecipient)
	if err != nil {
		return nil, err
	}
	p := &pass{consumers: listed, unclaimed: map[string]bool{}, names: map[string]bus.Entry{}}
	for _, n := range listed.Names() {
		p.unclaimed[n] = true
	}
	for _, e := range named {
		p.names[e.Key] = e
	}
	for _, e := range entries {
		r, err := store.DecodeRecipient(e)
		if err != nil {
			// Its consumer must not count as orphaned.
			id := strings.TrimPrefix(e.Key, store.PrefixRecipient)
			for _, d := range recipient.Channels() {
				delete(p.unclaimed, bus.ConsumerName(d.Name, id))
			}
			p.faults = append(p.faults, err)
			continue
		}
		delete(p.unclaimed, bus.ConsumerName(r.Channel(), r.ID()))
		p.all = append(p.all, r)
	}
	return p, nil
}

// reconcile compares recipients with their consumers and names and repairs differences: half-made changes of a killed process, failures,
// and changes by others at the broker. It continues after a fault, and reports whether a queue is being drained or purged.
func (s *Reconciler) reconcile(ctx context.Context) (draining bool, err error) {
	p, err := s.readState(ctx)
	if err != nil {
		return false, err
	}
	p.faults = append(p.faults, s.consumers.changes.Refresh(ctx))
	for _, r := range p.all {
		if r.Deleting() {
			gone, err := s.finishDelete(ctx, r, p.consumers)
			draining = draining || !gone
			p.faults = append(p.faults, err)
			continue
		}
		left, err := s.reconcileConsumer(ctx, r, p.consumers)
		draining = draining || left
		p.faults = append(p.faults, err, s.reconcileName(ctx, r, p.names), s.dropEnded(ctx, r, time.Now()))
	}
	return draining, errors.Join(append(p.faults, s.dropConsumers(ctx, p.unclaimed), s.dropNames(ctx, p.names))...)
}

// reconcileConsumer makes a recipient's consumer what the recipient says and continues the purge of its queue. left reports that the
// purge is not done.
func (s *Reconciler) reconcileConsumer(ctx context.Context, r store.Recipient, listed control.Consumers) (left bool, err error) {
	left, err = s.purgeUnfinished(ctx, r)
	if err := errors.Join(err, s.consumers.repair(ctx, r, listed)); err != nil || !left {
		return left, err
	}
	return true, s.expediteThrough(ctx, r, max(r.GetPurgedThrough(), r.GetBacklogThrough()))
}

// expediteThrough has deliveries that wait for their next attempt redelivered now, up to a sequence of EVENTS, because they end without
// an attempt.
func (s *Reconciler) expediteThrough(ctx context.Context, r store.Recipient, through uint64) error {
	d := s.delayed[r.ID()]
	if d == nil {
		d = queue.NewDelayed(s.bus, r.Channel(), r.ID())
		s.delayed[r.ID()] = d
	}
	_, err := d.Expedite(ctx, through)
	return err
}
