package relay

import (
	"cmp"
	"context"
	"crypto/x509"
	"log/slog"
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
	// Presented, if set, is called with the certificate of the relay for each encrypted connection.
	Presented func(r Relay, leaf *x509.Certificate)
	// Rotated, if set, is called to store a refresh token that an endpoint issued in place of the stored one.
	Rotated func(ctx context.Context, stored OAuth2, rotated string) error
	// Logger takes what is to be said. Nil: nothing is logged.
	Logger *slog.Logger
}

// Pool makes connections to one relay, within its bounds, and keeps idle ones for the next mail.
type Pool struct {
	o PoolOptions
	// findings are what made handshakes fail.
	findings trust.Findings

	mu    sync.Mutex
	relay Relay
	// place bounds the connections to the address of relay, of which there may be several in turn.
	place *inFlightLimit
	// current ends when relay is another one, by replace.
	current context.Context
	replace context.CancelFunc
	conns   []*session
	tokens  *tokens
	closed  bool
}

// NewPool makes a pool. Run keeps it.
func NewPool(o PoolOptions) *Pool {
	if o.Limiter == nil {
		o.Limiter = throttle.NewMemory()
	}
	o.Logger = cmp.Or(o.Logger, slog.New(slog.DiscardHandler))
	p := &Pool{o: o, place: newInFlightLimit()}
	p.current, p.replace = context.WithCancel(context.Background())
	return p
}

// Get gives an idle connection to a relay that still works, or a new one. The caller gives it back with Put.
func (p *Pool) Get(ctx context.Context, r Relay) (*Conn, *Failure) {
	place := p.use(r)
	if f := p.enter(ctx, place, r); f != nil {
		return nil, f
	}
	s, f := p.connection(ctx, r)
	return p.lease(place, r, s, f)
}

// Fresh is Get for whoever waits for the answer: it takes no idle connection, and gives up a step that takes long.
func (p *Pool) Fresh(ctx context.Context, r Relay) (*Conn, *Failure) {
	place := p.use(r)
	ask, cancel := context.WithTimeout(ctx, slowSetup)
	defer cancel()
	if f := p.enter(ask, place, r); f != nil {
		return nil, f
	}
	s, f := p.dial(ctx, r, hurry)
	return p.lease(place, r, s, f)
}

// hurry bounds a step before the first mail where somebody waits.
const hurry = slowSetup + 500*time.Millisecond

// lease gives a connection out, or its place back.
func (p *Pool) lease(place *inFlightLimit, r Relay, s *session, f *Failure) (*Conn, *Failure) {
	if f != nil {
		place.leave()
		p.saw(r, f, false)
		return nil, f
	}
	return &Conn{session: s, pool: p, place: place}, nil
}

func (p *Pool) connection(ctx context.Context, r Relay) (*session, *Failure) {
	for {
		c := p.take()
		if c == nil {
			return p.dial(ctx, r, 0)
		}
		if c.relay == r && c.clear(ctx) {
			return c, nil
		}
		c.raw.broken = c.relay == r
		c.close()
	}
}

// dial makes a connection, unless the relay is replaced meanwhile. A token that the relay refuses is replaced once.
func (p *Pool) dial(ctx context.Context, r Relay, hurry time.Duration) (*session, *Failure) {
	ctx, cancel, _ := p.whileCurrent(ctx, r)
	defer cancel()
	d := dialing{relay: r, secret: r.Password, hurry: hurry, slow: func(f *Failure) { p.saw(r, f, false) }}
	var source *tokens
	if r.OAuth2 != (OAuth2{}) {
		source = p.tokensOf(r)
		token, f := source.await(ctx, d)
		if f != nil {
			return nil, f
		}
		d.secret = token
	}
	c, f := dial(ctx, d)
	if f != nil && source != nil && f.Step == StepAuth && f.Fault == delivery.FaultAuth && f.Code != 0 {
		source.Forget(d.secret)
		if d.secret, f = source.await(ctx, d); f == nil {
			c, f = dial(ctx, d)
		}
	}
	if f == nil && c.leaf != nil && p.o.Presented != nil {
		p.o.Presented(r, c.leaf)
	}
	return c, p.diagnosed(ctx, d, f)
}

// whileCurrent is a context that ends when the relay is not the one of the settings any more, unless keep is called before: that reports
// whether it was in time.
func (p *Pool) whileCurrent(ctx context.Context, r Relay) (while context.Context, cancel func(), keep func() bool) {
	p.mu.Lock()
	current, is := p.current, p.relay == r
	p.mu.Unlock()
	while, end := context.WithCancelCause(ctx)
	if !is {
		end(errReplaced)
		return while, func() { end(nil) }, func() bool { return false }
	}
	stop := context.AfterFunc(current, func() { end(errReplaced) })
	return while, func() { stop(); end(nil) }, stop
}

// Mail hands over a mail to one address, in its turn. A nil answer means that the relay has it. A connection that has carried mails and
// carries no more is replaced at once.
func (c *Conn) Mail(ctx context.Context, m Mail) *Failure {
	if f := c.pool.turn(ctx, c.relay); f != nil {
		return f
	}
	carried := c.taken > 0
	f := c.attempt(ctx, m)
	if f != nil && carried && f.ofConnection() {
		f = c.renew(ctx)
		if f == nil {
			f = c.attempt(ctx, m)
		}
	}
	c.pool.saw(c.relay, f, f == nil)
	return f
}

// attempt hands a mail over, unless the relay is replaced before it is about to get the data.
func (c *Conn) attempt(ctx context.Context, m Mail) *Failure {
	while, cancel, keep := c.pool.whileCurrent(ctx, c.relay)
	defer cancel()
	return c.handOver(while, m, keep)
}

// renew says goodbye and goes on over a new connection, in the same place. If there is none, the old one is not to be used again.
func (c *Conn) renew(ctx context.Context) *Failure {
	old := c.session
	old.close()
	old.raw.broken = true
	s, f := c.pool.dial(ctx, old.relay, 0)
	if f == nil {
		c.session = s
	}
	return f
}

// Probe connects, encrypts and signs in, and says goodbye. It looks at the relay as it is now, so no idle connection is used, and
// waits for no other one.
func (p *Pool) Probe(ctx context.Context, r Relay) *Failure {
	place := p.use(r)
	if !place.try(p.bound(r)) {
		return busy()
	}
	defer place.leave()
	c, f := p.dial(ctx, r, 0)
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
		p.tokens = newTokens(r, p.o.Rotated, p.o.Logger)
	}
	p.tokens.adopt(r.OAuth2.RefreshToken)
	return p.tokens
}

func (p *Pool) take() *session {
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
		p.conns = append(p.conns, c.session)
	}
	p.mu.Unlock()
	if !keep {
		c.close()
	}
	c.place.leave()
}

// Use says which relay is the pool's now. It closes idle connections to another one, and ends what is under way to it as long as no data
// of a mail has been sent.
func (p *Pool) Use(r Relay) { p.use(r) }

// use is Use, and tells what bounds the connections to the relay.
func (p *Pool) use(r Relay) (place *inFlightLimit) {
	p.drop(func(c *session) bool { return c.relay != r }, func() {
		if r.address() != p.relay.address() {
			p.place = newInFlightLimit()
		}
		if r != p.relay {
			p.replace()
			p.current, p.replace = context.WithCancel(context.Background())
		}
		p.relay = r
		place = p.place
	})
	return place
}

// drop closes the idle connections that f picks, after change is made.
func (p *Pool) drop(f func(*session) bool, change func()) {
	p.mu.Lock()
	change()
	var keep, gone []*session
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
			p.drop(func(c *session) bool { return now.Sub(c.since) >= p.o.Idle }, func() {})
		case <-ctx.Done():
			p.drop(func(*session) bool { return true }, func() {
				p.closed = true
				if p.tokens != nil {
					p.tokens.CloseIdle()
				}
			})
			return
		}
	}
}
