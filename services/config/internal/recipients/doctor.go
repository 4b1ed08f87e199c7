package recipients

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/egress"
	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config/internal/certificates"
	"github.com/outbound-events/outbound/services/config/internal/store"
)

// doctorTimeout bounds a diagnosis. A caller with less time gets the answer earlier.
const doctorTimeout = 40 * time.Second

// replyReserve is the part of the caller's time that is left for the answer.
const replyReserve = time.Second

// DoctorRecipient implements outboundv1.RecipientServiceServer. An http-sender makes the diagnosis, because its egress rules and its
// network count.
func (s *Tester) DoctorRecipient(ctx context.Context, q *outboundv1.DoctorRecipientRequest) (*outboundv1.DoctorRecipientResponse, error) {
	stored, err := s.recipients.active(ctx, q.GetId())
	if err != nil {
		return nil, err
	}
	if d := stored.Describe(); !d.Diagnosed {
		return nil, rpc.FailedPrecondition("NOT_HTTP",
			fmt.Sprintf(
				"recipient %s is of the channel %s, but diagnostics work only for HTTP recipients: send a test event instead", q.GetId(), d.Name))
	}
	bound := doctorTimeout
	if deadline, ok := ctx.Deadline(); ok {
		bound = min(bound, time.Until(deadline)-replyReserve)
	}
	ask, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	report, err := control.New(s.bus).AskDoctor(ask, control.DoctorQuestion{
		Recipient: q.GetId(), StartSequence: stored.GetStartSequence(), Revision: stored.GetRevision(), Post: q.GetPost(),
	})
	switch {
	case errors.Is(err, control.ErrNobody):
		return nil, rpc.Unavailable("no http-sender is available to run diagnostics: start one of this version and try again")
	case err != nil && ctx.Err() == nil && ask.Err() != nil:
		return nil, rpc.Unavailable(
			fmt.Sprintf("the http-sender did not respond within %s: check its log and try again", bound.Round(time.Second)))
	case err != nil:
		return nil, store.AsStatus(ctx, err)
	}
	return doctorAnswer(&report), nil
}

func doctorAnswer(r *egress.Report) *outboundv1.DoctorRecipientResponse {
	out := &outboundv1.DoctorRecipientResponse{Healthy: r.Healthy(), RootToPinPem: r.RootToPin}
	for _, s := range r.Steps {
		out.Steps = append(out.Steps, &outboundv1.DoctorStep{
			Name: s.Name, Ok: s.OK, Detail: s.Detail, Remedy: s.Remedy, TookMs: float64(s.Took.Microseconds()) / 1000,
		})
	}
	var chain strings.Builder
	for _, der := range r.Chain {
		chain.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	}
	out.PresentedChain = certificates.Describe(chain.String())
	return out
}
