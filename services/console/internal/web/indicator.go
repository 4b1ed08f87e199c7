package web

import (
	"context"
	"sync"
	"time"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// statusIndicator caches the overall status that the top bar shows.
type statusIndicator struct {
	mu    sync.Mutex
	asked time.Time
	shown StatusIndicator
}

// StatusIndicator is the overall status in the top bar.
type StatusIndicator struct {
	Tone, Text string
}

// indicatorFresh is how long a status is shown before the next request; indicatorTimeout bounds that request.
const (
	indicatorFresh   = time.Second
	indicatorTimeout = 3 * time.Second
)

func (s *Site) showStatusIndicator(r *Request) error {
	return r.RenderPart("error", "status-indicator", s.indicator.get(r.Context(), r.API))
}

func (d *statusIndicator) get(ctx context.Context, api API) StatusIndicator {
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

// statusOf returns the overall status.
func statusOf(s *outboundv1.Status) StatusIndicator {
	if n := len(s.GetNotices()); n > 0 {
		return StatusIndicator{"bad", plural(n, "problem", "problems")}
	}
	return StatusIndicator{"good", "Healthy"}
}
