package relay

import (
	"context"
	"sync"
	"time"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/throttle"
	"github.com/outbound-events/outbound/pkg/trust"
)

// maxMails is how many mails one connection carries. Relays bound that too, and hang up in the middle if they are asked to
// carry more.
const maxMails = 100

// PoolOptions are what a pool works with.
type PoolOptions struct {
	// Most is how many connections there are at once, whatever a relay's own bound.
	Most int
	// Idle is how long one is kept for the next mail.
	Idle time.Duration
	// Limiter keeps the relay's rate limit.
	Limiter throttle.Limiter
	// Seen, if set, is called for each email and each failed connection, with the relay's failure, or nil for success, and
	// whether the relay accepted an email.
	Seen func(r Relay, f *Failure, accepted bool)
	// Rotated, if set, is called to store a refresh token that an endpoint issued in place of the stored one.
	Rotated func(ctx context.Context, stored OAuth2, rotated string) error
}

// Pool makes connections to one relay, within its bounds, and keeps idle ones for the next mail.
type Pool struct {
	o     PoolOptions
	limit inFlightLimit
	// findings are what made handshakes fail.
	findings trust.Findings

	mu     sync.Mutex
	relay  Relay
	conns  []*Conn
	tokens *tokens
	closed bool
}

// NewPool makes a pool. Run keeps it.
func NewPool(o PoolOptions) *Pool {
	if o.Limiter == nil {
		o.Limiter = throttle.NewMemory()
	}
	return &Pool{o: o, limit: inFlightLimit{freed: make(chan struct{})}}
}

// Get gives an idle connection to a relay that still works, or a new one. The caller gives it back with Put.
func (p *Pool) Get(ctx context.Context, r Relay) (*Conn, *Failure) {
	p.Use(r)
	if f := p.enter(ctx, r); f != nil {
		return nil, f
	}
	c, f := p.connection(ctx, r)
	if f != nil {
		p.limit.leave()
		p.saw(r, f, false)
	}
	return c, f
}

func (p *Pool) connection(ctx context.Context, r Relay) (*Conn, *Failure) {
	for {
		c := p.take()
		if c == nil {
			return p.dial(ctx, r)
		}
		if c.relay == r && c.clear(ctx) {
			return c, nil
		}
		c.raw.broken = c.relay == r
		c.close()
	}
}

// dial makes a connection. A token that the relay refuses is replaced once.
func (p *Pool) dial(ctx context.Context, r Relay) (*Conn, *Failure) {
	secret := r.Password
	var source *tokens
	if r.OAuth2 != (OAuth2{}) {
		source = p.tokensOf(r)
		token, f := source.get(ctx)
		if f != nil {
			return nil, f
		}
		secret = token
	}
	c, f := dial(ctx, r, secret)
	if f != nil && source != nil && f.Step == StepAuth && f.Fault == delivery.FaultAuth && f.Code != 0 {
		source.Forget(secret)
		if secret, f = source.get(ctx); f == nil {
			c, f = dial(ctx, r, secret)
		}
	}
	if f != nil {
		return nil, p.diagnosed(ctx, r, f)
	}
	c.pool = p
	return c, nil
}

// Probe connects, encrypts and signs in, and says goodbye. It looks at the relay as it is now, so no idle connection is used, and
// waits for no other one.
func (p *Pool) Probe(ctx context.Context, r Relay) *Failure {
	if !p.limit.try(p.bound(r)) {
		return busy()
	}
	defer p.limit.leave()
	c, f := p.dial(ctx, r)
	if f == nil {
		c.close()
	}
	p.saw(r, f, false)
	return f
}

// saw reports the relay's result. A failure of one address does not count as the relay's; Outbound's own failures are not reported.
func (p *Pool) saw(r Relay, f *Failure, accepted bool) {
	switch {
	case p.o.Seen == nil, f != nil && (f.Limited() || f.Fault == delivery.FaultShutdown || f.Fault == delivery.FaultOverdue):
	case f != nil && f.OfAddress():
		p.o.Seen(r, nil, false)
	default:
		p.o.Seen(r, f, accepted)
	}
}

// tokensOf are the tokens for a relay. They are kept while they are got in the same way.
func (p *Pool) tokensOf(r Relay) *tokens {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.tokens == nil || !p.tokens.serves(r) {
		if p.tokens != nil {
			p.tokens.CloseIdle()
		}
		p.tokens = newTokens(r, p.o.Rotated)
	}
	p.tokens.adopt(r.OAuth2.RefreshToken)
	return p.tokens
}

func (p *Pool) take() *Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.conns) == 0 {
		return nil
	}
	c := p.conns[len(p.conns)-1]
	p.conns = p.conns[:len(p.conns)-1]
	return c
}

// Put gives a connection back. It is closed if it is broken, worn out or of another relay than the pool's.
func (p *Pool) Put(c *Conn) {
	p.mu.Lock()
	keep := !p.closed && !c.raw.broken && c.mails < maxMails && c.relay == p.relay && len(p.conns) < p.bound(p.relay)
	if keep {
		c.since = time.Now()
		p.conns = append(p.conns, c)
	}
	p.mu.Unlock()
	if !keep {
		c.close()
	}
	p.limit.leave()
}

// Use says which relay is the pool's now, and closes idle connections to another one.
func (p *Pool) Use(r Relay) {
	p.drop(func(c *Conn) bool { return c.relay != r }, func() { p.relay = r })
}

// drop closes the idle connections that f picks, after change is made.
func (p *Pool) drop(f func(*Conn) bool, change func()) {
	p.mu.Lock()
	change()
	var keep, gone []*Conn
	for _, c := range p.conns {
		if f(c) {
			gone = append(gone, c)
		} else {
			keep = append(keep, c)
		}
	}
	p.conns = keep
	p.mu.Unlock()
	for _, c := range gone {
		c.close()
	}
}

// Run closes connections that have been idle for too long, until ctx ends; then it closes all, and those that are given back
// later at once.
func (p *Pool) Run(ctx context.Context) {
	t := time.NewTicker(max(p.o.Idle/4, time.Millisecond))
	defer t.Stop()
	for {
		select {
		case now := <-t.C:
			p.drop(func(c *Conn) bool { return now.Sub(c.since) >= p.o.Idle }, func() {})
		case <-ctx.Done():
			p.drop(func(*Conn) bool { return true }, func() {
				p.closed = true
				if p.tokens != nil {
					p.tokens.CloseIdle()
				}
			})
			return
		}
	}
}
