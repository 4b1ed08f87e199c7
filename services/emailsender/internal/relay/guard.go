package relay

import (
	"context"
	"net"
	"net/textproto"
	"sync"
	"time"
)

// maxRead is how much a relay may say while one mail is handed over, in bytes on the line.
const maxRead = 1 << 20

// How long the relay may take for each step (RFC 5321 4.5.3.2, which has no limits for connecting, TLS and AUTH).
const (
	limitConnect = 30 * time.Second
	limitBanner  = 5 * time.Minute
	limitCommand = 5 * time.Minute
	limitTLS     = 2 * time.Minute
	limitData    = 2 * time.Minute
	limitBlock   = 3 * time.Minute
	limitEnd     = 10 * time.Minute
)

// How long a step may take before the relay's status names it, while it is waited on: the first before a mail is begun, the second from
// there on, where relays check a mail before they answer.
const (
	slowSetup = 3 * time.Second
	slowMail  = 30 * time.Second
)

// guard is a connection that lets a relay say only so much, so that an endless reply ends, and that takes only so long.
type guard struct {
	net.Conn
	left   int
	broken bool

	mu  sync.Mutex
	cut bool
}

// Read reads at most what is left.
func (g *guard) Read(b []byte) (int, error) {
	if g.left <= 0 {
		return 0, textproto.ProtocolError("the relay's response is too long")
	}
	n, err := g.Conn.Read(b[:min(len(b), g.left)])
	g.left -= n
	return n, err
}

// until sets when what is waited for must be there, unless the wait was called off.
func (g *guard) until(t time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.cut {
		_ = g.SetDeadline(t)
	}
}

// bind holds the connection to a context until release is called, which reports whether the context is still good.
func (g *guard) bind(ctx context.Context) (release func() bool) {
	g.mu.Lock()
	g.left, g.cut = maxRead, false
	g.mu.Unlock()
	deadline, _ := ctx.Deadline()
	g.until(deadline)
	stop := context.AfterFunc(ctx, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.cut = true
		_ = g.SetDeadline(time.Unix(1, 0))
	})
	return func() bool {
		if !stop() {
			return false
		}
		return g.SetDeadline(time.Time{}) == nil
	}
}

// step begins a step, which may take so long, and at most until the context ends.
func (g *guard) step(ctx context.Context, limit time.Duration) {
	t := time.Now().Add(limit)
	if deadline, ok := ctx.Deadline(); ok && deadline.Before(t) {
		t = deadline
	}
	g.until(t)
}

// watch calls slow once a step has taken so long, unless done is called before. After done it is not called.
func watch(after time.Duration, slow func()) (done func()) {
	var mu sync.Mutex
	over := false
	t := time.AfterFunc(after, func() {
		mu.Lock()
		defer mu.Unlock()
		if !over {
			slow()
		}
	})
	return func() {
		t.Stop()
		mu.Lock()
		defer mu.Unlock()
		over = true
	}
}
