package settings

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config/internal/store"
	"github.com/outbound-events/outbound/services/config/internal/validation"
)

// testMailTimeout bounds the sending of test mails. A caller with less time gets the answer earlier.
const testMailTimeout = 45 * time.Second

// replyReserve is the part of the caller's time that is left for the answer.
const replyReserve = time.Second

// SendTestEmail implements outboundv1.SettingsServiceServer. An email-sender sends the mails, because its network counts.
func (s *Relay) SendTestEmail(ctx context.Context, q *outboundv1.SendTestEmailRequest) (*outboundv1.SendTestEmailResponse, error) {
	p, revision, err := s.parts.Get(ctx, store.KeySMTP)
	if err != nil {
		return nil, err
	}
	to, err := testAddresses(q, p.GetSmtp())
	if err != nil {
		return nil, err
	}
	if p.GetSmtp().GetHost() == "" || p.GetSmtp().GetFromAddress() == "" {
		return nil, rpc.FailedPrecondition("RELAY_UNSET",
			"no SMTP relay or from address is configured: set host and fromAddress under /v1/settings/smtp first")
	}
	bound := testMailTimeout
	if deadline, ok := ctx.Deadline(); ok {
		bound = min(bound, time.Until(deadline)-replyReserve)
	}
	ask, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	results, err := control.New(s.bus).AskTestMail(ask, control.TestMailQuestion{To: to, Actor: rpc.Actor(ctx), Etag: store.Etag(revision)})
	switch {
	case errors.Is(err, control.ErrNobody):
		return nil, rpc.Unavailable("no email-sender is available: start one of this version and try again")
	case err != nil && ctx.Err() == nil && ask.Err() != nil:
		return nil, rpc.Unavailable(
			fmt.Sprintf("the email-sender did not respond within %s: check its log and try again", bound.Round(time.Second)))
	case err != nil:
		return nil, store.AsStatus(ctx, err)
	}
	out := &outboundv1.SendTestEmailResponse{Ok: len(results) == len(to)}
	for _, r := range results {
		out.Ok = out.GetOk() && r.Accepted
		out.Results = append(out.Results, &outboundv1.SendTestEmailResponse_Result{
			Address: r.Address, Accepted: r.Accepted, Code: int32(r.Code), Detail: r.Detail, //nolint:gosec // an SMTP code has three digits
		})
	}
	return out, nil
}

// testAddresses returns the requested addresses, or the admin contacts.
func testAddresses(q *outboundv1.SendTestEmailRequest, p *outboundv1.SmtpSettings) ([]string, error) {
	var v validation.Violations
	to := q.GetTo()
	if len(to) == 0 {
		if to = p.GetAdminContacts(); len(to) == 0 {
			v.Add("to", validation.Missing, "is empty, and there are no admin contacts: set addresses")
		}
	} else {
		v.Addresses("to", to)
	}
	return to, v.Err()
}
