package replay

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/eventlog"
	"github.com/outbound-events/outbound/pkg/event"
)

// enqueue stores each item that is not stored yet. It waits while EVENTS is full.
func (r *run) enqueue(ctx context.Context, items []item) error {
	for {
		var full atomic.Bool
		g, storing := errgroup.WithContext(ctx)
		g.SetLimit(storesAtOnce)
		for _, i := range items {
			g.Go(func() error {
				err := r.enqueueOne(storing, i)
				if errors.Is(err, bus.ErrFull) {
					full.Store(true)
					return nil
				}
				return err
			})
		}
		if err := g.Wait(); err != nil || !full.Load() {
			return err
		}
		if err := r.pause(ctx, "EVENTS is full: the replay continues when there is space"); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// enqueueOne stores one item unless it is stored or unavailable. Should an item come twice, the message id makes the second harmless.
func (r *run) enqueueOne(ctx context.Context, i item) error {
	if r.known(i.id()) {
		return nil
	}
	if i.gone {
		r.note(i.id(), &r.lost)
		return nil
	}
	if !i.read {
		e, err := r.runner.s.eventAt(ctx, i)
		if errors.Is(err, bus.ErrNotFound) {
			r.note(i.id(), &r.lost)
			return nil
		}
		if err != nil {
			return err
		}
		i.event = e
	}
	if r.doubts() {
		if _, at, err := r.runner.s.Log.Latest(ctx, i.to, i.event, r.replay.GetId()); err != nil || at != 0 {
			return err
		}
	}
	// It waits for the answer though others have failed: else the item could be stored after it was counted.
	finish, cancel := r.runner.s.Bus.WithoutCancel(ctx)
	defer cancel()
	_, err := r.runner.s.Publisher.Replay(finish, i.to, i.event, bus.Replay{ID: r.replay.GetId(), Actor: r.replay.GetActor()})
	if err == nil {
		r.note(i.id(), &r.fresh)
	}
	return err
}

// eventAt reads the event of an item, or returns bus.ErrNotFound. A broker that lost the end of a stream has assigned sequences twice; then
// the acceptance has the right one.
func (s *Replayer) eventAt(ctx context.Context, i item) (*event.Event, error) {
	e, err := eventlog.New(s.Bus).StoredEvent(ctx, i.sequence)
	if err != nil || e.Key() == i.event.Key() {
		return e, err
	}
	rec, ok, err := s.Log.Intake(ctx, i.event.Appliance, i.event.ID)
	if err != nil {
		return nil, err
	}
	if ok && rec.Sequence != i.sequence {
		if e, err = eventlog.New(s.Bus).StoredEvent(ctx, rec.Sequence); err != nil || e.Key() == i.event.Key() {
			return e, err
		}
	}
	return nil, fmt.Errorf("read event %s: %w", i.event.Key(), bus.ErrNotFound)
}

func (r *run) known(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stored[id]
}

func (r *run) note(id string, n *int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.stored[id] {
		r.stored[id] = true
		*n++
	}
}

func (r *run) doubts() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.doubtful--
	return r.doubtful >= 0
}
