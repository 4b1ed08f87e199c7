package replay

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bus/eventlog"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/recipient"
)

// deliveredSet looks up what recipients have had, or will be sent. It reads the replays to a recipient once.
type deliveredSet struct {
	s *Replayer

	mu      sync.Mutex
	replays map[string]map[string][]string // recipient → event key → replay ids
	queues  map[string]control.Backlog
}

func newDeliveredSet(s *Replayer) *deliveredSet {
	return &deliveredSet{s: s, replays: map[string]map[string][]string{}, queues: map[string]control.Backlog{}}
}

// delivered reports whether a recipient has had an event.
func (p *deliveredSet) delivered(ctx context.Context, to string, e *event.Event) (bool, error) {
	had, _, err := p.look(ctx, to, e, func(rec delivery.Record, ok bool) bool { return ok && rec.State == delivery.StateDelivered })
	return had, err
}

// has reports whether a recipient has had an event, stored at a sequence, or will be sent it anyhow.
func (p *deliveredSet) has(ctx context.Context, r *recipient.Recipient, e *event.Event, sequence uint64) (bool, error) {
	has, untried, err := p.look(ctx, r.ID, e, func(rec delivery.Record, ok bool) bool {
		return ok && (rec.State == delivery.StateDelivered || !rec.State.Final())
	})
	if err != nil || has || !untried || sequence < r.StartSequence {
		return has, err
	}
	q, err := p.queue(ctx, r)
	// What the broker has not delivered yet will come. An event that it has gone past and that has no record may not have matched.
	return q.Waiting > 0 && sequence > q.Given, err
}

// look asks about each delivery of an event to a recipient until the answer is yes; untried says that the first one has no record.
func (p *deliveredSet) look(
	ctx context.Context, to string, e *event.Event, ask func(rec delivery.Record, ok bool) bool,
) (yes, untried bool, err error) {
	again, err := p.replaysOf(ctx, to)
	if err != nil {
		return false, false, err
	}
	for i, replayID := range append([]string{""}, again[e.Key()]...) {
		rec, at, err := p.s.Log.Latest(ctx, to, e, replayID)
		if err != nil {
			return false, false, fmt.Errorf("look up %s at %s: %w", e.Key(), to, err)
		}
		ok := at != 0
		if ask(rec, ok) || i > 0 && !ok && ask(delivery.Record{State: delivery.StateWaiting}, true) {
			return true, untried, nil
		}
		untried = untried || i == 0 && !ok
	}
	return false, untried, nil
}

func (p *deliveredSet) replaysOf(ctx context.Context, to string) (map[string][]string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if known, ok := p.replays[to]; ok {
		return known, nil
	}
	all := map[string][]string{}
	if err := eventlog.New(p.s.Bus).ReplaysTo(ctx, to, func(key, id string) { all[key] = append(all[key], id) }); err != nil {
		return nil, err
	}
	p.replays[to] = all
	return all, nil
}

func (p *deliveredSet) queue(ctx context.Context, r *recipient.Recipient) (control.Backlog, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if q, ok := p.queues[r.ID]; ok {
		return q, nil
	}
	q, err := control.New(p.s.Bus).Backlog(ctx, r.Channel(), r.ID)
	if err != nil && !errors.Is(err, bus.ErrNotFound) {
		return q, err
	}
	p.queues[r.ID] = q
	return q, nil
}

// count returns how many items their recipients have had before.
func (p *deliveredSet) count(ctx context.Context, items []item) (n int64, err error) {
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(previewLooks)
	for _, i := range items {
		g.Go(func() error {
			had := i.had
			if !had {
				var err error
				if had, err = p.delivered(ctx, i.to, i.event); err != nil {
					return err
				}
			}
			if had {
				mu.Lock()
				defer mu.Unlock()
				n++
			}
			return nil
		})
	}
	err = g.Wait()
	return n, err
}
