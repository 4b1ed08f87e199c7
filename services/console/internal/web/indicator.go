package web

import (
	"context"
	"sync"
	"time"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// dot is the one look that the top bar shows: whether anything is wrong.
type statusIndicator struct {
	mu    sync.Mutex
	asked time.Time
	shown StatusIndicator
}

// StatusIndicator is what the top bar shows.
type StatusIndicator struct {
	Tone, Text string
}

// dotFresh is how long what the dot shows may be shown to all readers; dotTimeout is how long it may take to find out.
const (
	indicatorFresh   = time.Second
	indicatorTimeout = 3 * time.Second
)

func (s *Site) showStatusIndicator(r *Request) error {
	return r.RenderPart("error", "status-dot", s.indicator.look(r.Context(), r.API))
}

func (d *statusIndicator) look(ctx context.Context, api API) StatusIndicator {
	d.mu.Lock()
	defer d.mu.Unlock()
	if time.Since(d.asked) < indicatorFresh {
		return d.shown
	}
	ctx, cancel := context.WithTimeout(ctx, indicatorTimeout)
	defer cancel()
	answer, err := api.Status.GetStatus(ctx, &outboundv1.GetStatusRequest{})
	if err != nil {
		return StatusIndicator{"bad", "Status unknown"}
	}
	d.asked, d.shown = time.Now(), statusOf(answer)
	return d.shown
}

// statusOf says in a word how things stand.
func statusOf(s *outboundv1.Status) StatusIndicator {
	if n := len(s.GetNotices()); n > 0 {
		return StatusIndicator{"bad", plural(n, "problem", "problems")}
	}
	return StatusIndicator{"good", "Healthy"}
}
