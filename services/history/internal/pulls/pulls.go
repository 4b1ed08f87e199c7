// Package pulls lets receivers fetch their deliveries, and acknowledge them. The http-sender, which numbers, renders and signs, answers.
package pulls

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/configclient"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/history/internal/lookup"
)

const (
	// defaultLimit is how many deliveries are pulled at once by a caller who does not say.
	defaultLimit = 100
	// answerTimeout bounds a question to a sender. A caller with less time gets the answer earlier; replyReserve is the part of the
	// caller's time that is left for that.
	answerTimeout = 25 * time.Second
	replyReserve  = time.Second
)

// Puller answers calls of receivers.
type Puller struct {
	bus    *bus.Conn
	config *configclient.Client
}

// New makes a puller.
func New(conn *bus.Conn, config *configclient.Client) *Puller {
	return &Puller{bus: conn, config: config}
}

// Pull returns deliveries of a recipient.
func (p *Puller) Pull(ctx context.Context, req *outboundv1.PullDeliveriesRequest) (*outboundv1.PullDeliveriesResponse, error) {
	r, err := p.recipient(ctx, req.GetRecipientId())
	if err != nil {
		return nil, err
	}
	q := control.PullQuestion{
		Recipient: r.ID, StartSequence: r.StartSequence, Revision: r.Revision, After: req.After, Limit: int(req.GetLimit()),
	}
	if q.Limit == 0 {
		q.Limit = defaultLimit
	}
	a, err := ask(ctx, func(ctx context.Context) (control.PullAnswer, error) { return control.NewPulls(p.bus).Ask(ctx, q) })
	if err != nil {
		return nil, err
	}
	if req.GetAfter() > a.Last {
		return nil, rpc.InvalidArgument(notGiven("after", r.ID, req.GetAfter(), a.Last, "; one that was created again begins anew: pull after 0"))
	}
	resp := &outboundv1.PullDeliveriesResponse{NextAfter: a.Cursor, More: a.More, Cursor: a.Cursor, Last: a.Last}
	if req.After != nil {
		resp.NextAfter = req.GetAfter()
	}
	for _, d := range a.Deliveries {
		out, err := pulled(d)
		if err != nil {
			return nil, err
		}
		resp.Deliveries = append(resp.Deliveries, out)
		resp.NextAfter = d.Number
	}
	return resp, nil
}

// pulled is a delivery as it is returned.
func pulled(d control.PulledDelivery) (*outboundv1.PulledDelivery, error) {
	out := &outboundv1.PulledDelivery{
		Sequence: d.Number, Previous: d.Number - 1, EventId: event.Key(d.Appliance, d.EventID), EventType: d.Type, ApplianceId: d.Appliance,
		AcceptTime: timestamppb.New(d.Accepted), State: outboundv1.DeliveryState_State(outboundv1.DeliveryState_State_value[d.State]),
		Reason: d.Reason, Detail: d.Detail, Headers: d.Header, Note: d.Note,
	}
	if len(d.Body) == 0 {
		return out, nil
	}
	z, err := gzip.NewReader(bytes.NewReader(d.Body))
	if err != nil {
		return nil, fmt.Errorf("decompress the body of delivery %d: %w", d.Number, err)
	}
	if out.Body, err = io.ReadAll(z); err != nil {
		return nil, fmt.Errorf("decompress the body of delivery %d: %w", d.Number, err)
	}
	return out, nil
}

// Acknowledge ends the deliveries of a recipient up to a number.
func (p *Puller) Acknowledge(
	ctx context.Context, req *outboundv1.AcknowledgeDeliveriesRequest,
) (*outboundv1.AcknowledgeDeliveriesResponse, error) {
	r, err := p.recipient(ctx, req.GetRecipientId())
	if err != nil {
		return nil, err
	}
	q := control.AcknowledgeQuestion{
		Recipient: r.ID, StartSequence: r.StartSequence, Revision: r.Revision, Through: req.GetThrough(), Actor: rpc.Actor(ctx),
	}
	a, err := ask(ctx, func(ctx context.Context) (control.AcknowledgeAnswer, error) {
		return control.NewPulls(p.bus).Acknowledge(ctx, q)
	})
	switch {
	case err != nil:
		return nil, err
	case q.Through > a.Last:
		return nil, rpc.InvalidArgument(notGiven("through", r.ID, q.Through, a.Last, ""))
	case a.Cursor < q.Through:
		return nil, rpc.Unavailable(fmt.Sprintf("acknowledged up to number %d of %d (%d deliveries ended by it) before the time was over: "+
			"repeat the call", a.Cursor, q.Through, a.Ended))
	default:
		return &outboundv1.AcknowledgeDeliveriesResponse{Acknowledged: int32(a.Ended), Cursor: a.Cursor}, nil
	}
}

// notGiven is the violation of a field with a number that no delivery has yet.
func notGiven(field, id string, number, last uint64, remedy string) rpc.Violation {
	return rpc.Violation{Field: field, Reason: "NOT_GIVEN",
		Description: fmt.Sprintf("no delivery of recipient %s has the number %d: the last one has %d%s", id, number, last, remedy)}
}

// recipient is the HTTP recipient of a call, if the caller may have its deliveries. What others have a receiver does not learn, nor whether
// they exist.
func (p *Puller) recipient(ctx context.Context, id string) (*recipient.Recipient, error) {
	who, _ := rpc.PrincipalFrom(ctx)
	bound := who.Role == rpc.RoleReceiver
	if bound && who.Recipient != id {
		return nil, status.Errorf(codes.PermissionDenied, "this token is for the deliveries of recipient %s only", who.Recipient)
	}
	if !lookup.ValidID(id, "") {
		return nil, rpc.InvalidArgument(lookup.InvalidID("recipientId"))
	}
	if err := lookup.AwaitConfig(ctx, p.config); err != nil {
		return nil, err
	}
	r, ok := p.config.Find(ctx, id)
	switch {
	case !ok || r.Deleting:
		return nil, rpc.NotFound("recipient", id)
	case bound && who.RecipientStart != r.StartSequence:
		return nil, status.Errorf(codes.PermissionDenied,
			"this token is for a recipient %s that was deleted: ask for a token of the one that exists now", id)
	case !r.Describe().Pulled:
		return nil, rpc.FailedPrecondition("NOT_HTTP",
			fmt.Sprintf("recipient %s is of the channel %s, but only the deliveries of HTTP recipients can be pulled", id, r.Channel()))
	default:
		return r, nil
	}
}

// ask asks a sender, within the caller's time.
func ask[A any](ctx context.Context, question func(context.Context) (A, error)) (a A, err error) {
	bound := answerTimeout
	if deadline, ok := ctx.Deadline(); ok {
		bound = min(bound, time.Until(deadline)-replyReserve)
	}
	within, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	a, err = question(within)
	switch {
	case err == nil:
		return a, nil
	case errors.Is(err, control.ErrNobody):
		return a, rpc.Unavailable("no http-sender is available to answer: start one of this version and try again")
	case ctx.Err() != nil:
		return a, ctx.Err()
	case within.Err() != nil:
		return a, rpc.Unavailable(fmt.Sprintf("the http-sender did not respond within %s: check its log and try again", bound.Round(time.Second)))
	default:
		return a, rpc.Unavailable(err.Error())
	}
}
