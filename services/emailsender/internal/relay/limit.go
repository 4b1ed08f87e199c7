package relay

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/outbound-events/outbound/pkg/delivery"
)

const (
	// turnWait is how long a mail waits in its place for a connection or for the rate limit, before it is put off.
	turnWait = 5 * time.Second
	// limitAgain is when to ask again for a connection.
	limitAgain = time.Second
)

// bound is how many connections there may be at once.
func (p *Pool) bound(r Relay) int { return max(1, min(r.Most, p.o.Most)) }

// enter waits until there may be one more connection.
func (p *Pool) enter(ctx context.Context, place *inFlightLimit, r Relay) *Failure {
	ask, cancel := context.WithTimeout(ctx, turnWait)
	defer cancel()
	if place.enter(ask, p.bound(r)) {
		return nil
	}
	if f := ended(ctx); f != nil {
		return f
	}
	return busy()
}

func busy() *Failure {
	return &Failure{Step: StepTurn, Fault: delivery.FaultNone, Wait: limitAgain,
		Cause: errors.New("all connections to the relay are in use (maxConnections)")}
}

// ended says that a wait was called off.
func ended(ctx context.Context) *Failure {
	if errors.Is(ctx.Err(), context.Canceled) {
		return &Failure{Step: StepTurn, Fault: delivery.FaultShutdown, Cause: errors.New("cancelled while waiting for the rate limit")}
	}
	return nil
}

// turn waits for a mail's turn at the relay's rate limit. One that is too far away is not waited for.
func (p *Pool) turn(ctx context.Context, r Relay) *Failure {
	until := time.Now().Add(turnWait)
	if deadline, ok := ctx.Deadline(); ok && deadline.Before(until) {
		until = deadline
	}
	for {
		wait := p.o.Limiter.Take(ctx, "relay/"+r.address(), r.Limit)
		if wait <= 0 {
			return nil
		}
		if time.Now().Add(wait).After(until) {
			return &Failure{Step: StepTurn, Fault: delivery.FaultNone, Wait: wait,
				Cause: fmt.Errorf("the relay's rate limit is reached: %d emails in %s", r.Limit.Turns, r.Limit.Period)}
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-ctx.Done():
		}
		t.Stop()
		if f := ended(ctx); f != nil {
			return f
		}
	}
}

// inFlightLimit lets only so many in at once.
type inFlightLimit struct {
	mu    sync.Mutex
	in    int
	freed chan struct{}
}

func newInFlightLimit() *inFlightLimit { return &inFlightLimit{freed: make(chan struct{})} }

// try enters if there is room now.
func (g *inFlightLimit) try(most int) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.in >= most {
		return false
	}
	g.in++
	return true
}

// enter waits for room until ctx ends, and reports whether there was.
func (g *inFlightLimit) enter(ctx context.Context, most int) bool {
	for {
		g.mu.Lock()
		freed := g.freed
		g.mu.Unlock()
		if g.try(most) {
			return true
		}
		select {
		case <-freed:
		case <-ctx.Done():
			return false
		}
	}
}

// leave makes room.
func (g *inFlightLimit) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.in--
	close(g.freed)
	g.freed = make(chan struct{})
}
