package status

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/health"
	"github.com/outbound-events/outbound/pkg/recipient"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// expiringMaxAge is how old a count of expiring deliveries may be to be shown again: each takes three requests to the broker.
const expiringMaxAge = time.Minute

// expiring is how many deliveries of a failing recipient expire before a time, if it goes on failing; zero: none does.
type expiring struct {
	deliveries int64
	before     time.Time
}

// expiringCache keeps the counts of failing recipients for a while.
type expiringCache struct {
	mu    sync.Mutex
	known map[string]countedExpiring
}

type countedExpiring struct {
	expiring
	at    time.Time
	until time.Time
}

// of returns a count that is recent and of the same deliveries.
func (c *expiringCache) of(id string, until, now time.Time) (expiring, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k, ok := c.known[id]
	age := now.Sub(k.at)
	return k.expiring, ok && k.until.Equal(until) && age >= 0 && age < expiringMaxAge
}

func (c *expiringCache) keep(id string, k countedExpiring) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil {
		c.known = map[string]countedExpiring{}
	}
	for other, x := range c.known {
		if k.at.Sub(x.at) > expiringMaxAge {
			delete(c.known, other)
		}
	}
	c.known[id] = k
}

// countExpiring counts the deliveries of failing recipients that expire soon. What can't be counted is left out.
func (s *Reporter) countExpiring(ctx context.Context, recipients []*recipient.Recipient, looked []recipientFacts, now time.Time) {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(s.o.Lookups)
	for i, r := range recipients {
		f := &looked[i]
		until, ok := health.ExpiringAccepted(r, f.backlog.Oldest, now)
		if !ok || healthOf(r, *f, now) != outboundv1.RecipientHealth_FAILING {
			continue
		}
		if f.expiring, ok = s.ending.of(r.ID, until, now); ok {
			continue
		}
		g.Go(func() error {
			n, err := control.New(s.Bus).QueuedUntil(ctx, r.Channel(), r.ID, until)
			if err != nil {
				return nil
			}
			if n > 0 {
				f.expiring = expiring{deliveries: int64(min(n, 1<<62)), before: health.ExpiryHorizon(now)}
			}
			s.ending.keep(r.ID, countedExpiring{expiring: f.expiring, at: now, until: until})
			return nil
		})
	}
	_ = g.Wait()
}
