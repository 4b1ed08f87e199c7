package recipients

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/outbound-events/outbound/pkg/egress"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// precheckTimeout bounds the lookup of a URL's host.
const precheckTimeout = 2 * time.Second

// Prechecker checks whether the senders can reach a URL.
type Prechecker interface {
	// Precheck returns a warning, or nothing.
	Precheck(ctx context.Context, url string) string
}

// EgressPrechecker checks URLs by the egress rules of the senders. It only warns: a name may be registered later, and what counts is the
// address that is dialled.
type EgressPrechecker struct {
	Guard    *egress.Guard
	Resolver *net.Resolver
	// Proxied says that the senders go through a proxy, which looks up names.
	Proxied bool
}

// Precheck implements Prechecker. It warns if the name is unknown, or if the egress rules forbid all of its addresses.
func (p EgressPrechecker) Precheck(ctx context.Context, url string) string {
	ctx, cancel := context.WithTimeout(ctx, precheckTimeout)
	defer cancel()
	var err error
	if p.Proxied {
		err = p.Guard.CheckLiteral(url)
	} else {
		err = p.Guard.Precheck(ctx, p.Resolver, url)
	}
	if err == nil {
		return ""
	}
	var dial *egress.DialError
	if errors.As(err, &dial) && dial.Stage == egress.StageLookup {
		return "http.url: the host could not be resolved (" + err.Error() + "): deliveries are attempted anyway."
	}
	return "http.url: " + err.Error() + "."
}

// NoPrecheck returns no warnings.
type NoPrecheck struct{}

// Precheck implements Prechecker.
func (NoPrecheck) Precheck(context.Context, string) string { return "" }

// precheck adds a warning to an enabled recipient that the senders can't reach.
func (s *Recipients) precheck(ctx context.Context, r *outboundv1.Recipient) {
	url := r.GetHttp().GetUrl()
	if url == "" || !r.GetEnabled() {
		return
	}
	if warning := s.prechecker.Precheck(ctx, url); warning != "" {
		r.Warnings = append(r.Warnings, warning)
	}
}

// newDestination reports whether a change makes another precheck necessary.
func newDestination(old, next *outboundv1.Recipient) bool {
	return old.GetHttp().GetUrl() != next.GetHttp().GetUrl() || !old.GetEnabled() && next.GetEnabled()
}
