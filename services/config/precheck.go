package config

import (
	"context"
	"errors"
	"time"

	"github.com/outbound-events/outbound/pkg/egress"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// precheckTimeout bounds the look at where a new URL leads.
const precheckTimeout = 2 * time.Second

// precheck warns if the senders would not reach a recipient that was just saved: its name is unknown, or the egress rules forbid
// all of its addresses. It is a warning, not a fault: names may come later, and what counts is the address that is dialled.
func (s *Service) precheck(ctx context.Context, r *outboundv1.Recipient) {
	url := r.GetHttp().GetUrl()
	if url == "" || !r.GetEnabled() || s.withoutPrecheck {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, precheckTimeout)
	defer cancel()
	var err error
	if s.o.Proxied {
		err = s.guard.CheckLiteral(url)
	} else {
		err = s.guard.Precheck(ctx, s.resolver, url)
	}
	if err == nil {
		return
	}
	var dial *egress.DialError
	warning := "http.url: " + err.Error() + "."
	if errors.As(err, &dial) && dial.Stage == egress.StageLookup {
		warning = "http.url: the host could not be resolved (" + err.Error() + "): deliveries are attempted anyway."
	}
	r.Warnings = append(r.Warnings, warning)
}

// leadsElsewhere reports whether a change is one after which precheck has something new to say.
func leadsElsewhere(old, next *outboundv1.Recipient) bool {
	return old.GetHttp().GetUrl() != next.GetHttp().GetUrl() || !old.GetEnabled() && next.GetEnabled()
}
