package health

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/outbound-events/outbound/pkg/delivery"
)

// tracker is a delivery.Observer that remembers how recipients did, in memory, and passes everything on.
type tracker struct {
	next    delivery.Observer
	now     func() time.Time
	changed chan struct{}

	mu   sync.Mutex
	seen map[string]*seen
}

func newTracker(next delivery.Observer, now func() time.Time) *tracker {
	return &tracker{next: next, now: now, changed: make(chan struct{}, 1), seen: map[string]*seen{}}
}

// Begin passes on.
func (t *tracker) Begin(ctx context.Context, d *delivery.Delivery) context.Context {
	return t.next.Begin(ctx, d)
}

// End notes the attempt and passes on.
func (t *tracker) End(ctx context.Context, r delivery.Report) {
	t.note(r)
	t.next.End(ctx, r)
}

// Ended notes what was given up and passes on.
func (t *tracker) Ended(r delivery.Report) {
	t.note(r)
	t.next.Ended(r)
}

func (t *tracker) note(r delivery.Report) {
	if r.Verdict.Kind == delivery.Postpone {
		return
	}
	at := t.now()
	if !r.Outcome.Began.IsZero() {
		at = r.Outcome.Began.Add(r.Outcome.Took)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.seen[r.Delivery.Recipient.ID]
	if s == nil {
		s = &seen{}
		t.seen[r.Delivery.Recipient.ID] = s
	}
	failing := !s.lastFailure.IsZero()
	s.note(r, at)
	if failing == s.lastFailure.IsZero() {
		select {
		case t.changed <- struct{}{}:
		default:
		}
	}
}

// all is what was seen of each recipient, as it is now.
func (t *tracker) all() map[string]seen {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make(map[string]seen, len(t.seen))
	for id, s := range t.seen {
		out[id] = *s
	}
	return out
}

// written takes off the drops that are kept now.
func (t *tracker) written(id string, n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := t.seen[id]; s != nil && n > 0 {
		s.dropped.Count -= n
	}
}

// keep forgets the recipients that keep does not want.
func (t *tracker) keep(want func(id string) bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	maps.DeleteFunc(t.seen, func(id string, _ *seen) bool { return !want(id) })
}
