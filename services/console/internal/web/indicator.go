package web

import (
	"context"
	"strings"
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

// FailingNotice begins the notice that names the recipients that fail. Pages count them instead.
const FailingNotice = "Failing: "

// statusOf returns the overall status: how many recipients fail, and how many other notices there are.
func statusOf(s *outboundv1.Status) StatusIndicator {
	failing, others := 0, 0
	for _, r := range s.GetRecipients() {
		if r.GetHealth() == outboundv1.RecipientHealth_FAILING {
			failing++
		}
	}
	for _, n := range s.GetNotices() {
		if failing == 0 || !strings.HasPrefix(n, FailingNotice) {
			others++
		}
	}
	switch {
	case failing > 0 && others > 0:
		return StatusIndicator{"bad", plural(failing, "recipient", "recipients") + " failing, " +
			plural(others, "other problem", "other problems")}
	case failing > 0:
		return StatusIndicator{"bad", plural(failing, "recipient", "recipients") + " failing"}
	case others > 0:
		return StatusIndicator{"bad", plural(others, "problem", "problems")}
	default:
		return StatusIndicator{"good", "Healthy"}
	}
}
