package web

import (
	"context"
	"sync"
	"time"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// dot is the one look that the top bar shows: whether anything is wrong.
type dot struct {
	mu    sync.Mutex
	asked time.Time
	shown Dot
}

// Dot is what the top bar shows.
type Dot struct {
	Tone, Text string
}

// dotFresh is how long what the dot shows may be shown to all readers; dotTimeout is how long it may take to find out.
const (
	dotFresh   = time.Second
	dotTimeout = 3 * time.Second
)

func (s *Site) showDot(r *Request) error {
	return r.RenderPart("error", "status-dot", s.dot.look(r.Context(), r.API))
}

func (d *dot) look(ctx context.Context, api API) Dot {
	d.mu.Lock()
	defer d.mu.Unlock()
	if time.Since(d.asked) < dotFresh {
		return d.shown
	}
	ctx, cancel := context.WithTimeout(ctx, dotTimeout)
	defer cancel()
	answer, err := api.Status.GetStatus(ctx, &outboundv1.GetStatusRequest{})
	if err != nil {
		return Dot{"bad", "Status unknown"}
	}
	d.asked, d.shown = time.Now(), judge(answer)
	return d.shown
}

// judge says in a word how things stand.
func judge(s *outboundv1.Status) Dot {
	if n := len(s.GetNotices()); n > 0 {
		return Dot{"bad", plural(n, "thing needs attention", "things need attention")}
	}
	return Dot{"good", "All is well"}
}
