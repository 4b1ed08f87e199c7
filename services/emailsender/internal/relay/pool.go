package relay

import (
	"context"
	"sync"
	"time"
)

// maxMails is how many mails one connection carries. Relays bound that too, and hang up in the middle if they are asked to
// carry more.
const maxMails = 100

// Pool keeps idle connections to one relay for the next mail.
type Pool struct {
	most int
	idle time.Duration

	mu     sync.Mutex
	relay  Relay
	conns  []*Conn
	closed bool
}

// NewPool makes a pool that keeps at most so many connections, each for so long.
func NewPool(most int, idle time.Duration) *Pool { return &Pool{most: most, idle: idle} }

// Get gives an idle connection to a relay that still works, or a new one. The caller gives it back with Put.
func (p *Pool) Get(ctx context.Context, r Relay) (*Conn, *Failure) {
	p.Use(r)
	for {
		c := p.take()
		if c == nil {
			return Dial(ctx, r)
		}
		if c.relay == r && c.clear(ctx) {
			return c, nil
		}
		c.raw.broken = c.relay == r
		c.close()
	}
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
	keep := !p.closed && !c.raw.broken && c.mails < maxMails && c.relay == p.relay && len(p.conns) < p.most
	if keep {
		c.since = time.Now()
		p.conns = append(p.conns, c)
	}
	p.mu.Unlock()
	if !keep {
		c.close()
	}
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
	t := time.NewTicker(max(p.idle/4, time.Millisecond))
	defer t.Stop()
	for {
		select {
		case now := <-t.C:
			p.drop(func(c *Conn) bool { return now.Sub(c.since) >= p.idle }, func() {})
		case <-ctx.Done():
			p.drop(func(*Conn) bool { return true }, func() { p.closed = true })
			return
		}
	}
}
