package history

import (
	"context"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/history/internal/changes"
	"github.com/outbound-events/outbound/services/history/internal/detail"
	"github.com/outbound-events/outbound/services/history/internal/pulls"
	"github.com/outbound-events/outbound/services/history/internal/replay"
	"github.com/outbound-events/outbound/services/history/internal/search"
	"github.com/outbound-events/outbound/services/history/internal/verify"
	"github.com/outbound-events/outbound/services/history/internal/waits"
)

// deliveriesServer answers DeliveryService.
type deliveriesServer struct {
	outboundv1.UnimplementedDeliveryServiceServer
	search  *search.Searcher
	detail  *detail.Reader
	replays *replay.Replayer
	changes *changes.Changer
	probe   *changes.Prober
	waits   *waits.Explainer

	verifier *verify.Verifier
	pulls    *pulls.Puller
}

// ListDeliveries lists deliveries, newest first.
func (d *deliveriesServer) ListDeliveries(
	ctx context.Context, req *outboundv1.ListDeliveriesRequest,
) (*outboundv1.ListDeliveriesResponse, error) {
	resp, err := d.search.ListDeliveries(ctx, req)
	if err != nil {
		return nil, err
	}
	return resp, d.waits.Explain(ctx, resp.GetDeliveries()...)
}

// TailDeliveries sends records as they come.
func (d *deliveriesServer) TailDeliveries(
	req *outboundv1.TailDeliveriesRequest, stream outboundv1.DeliveryService_TailDeliveriesServer,
) error {
	return d.search.Tail(stream.Context(), req, func(batch *outboundv1.TailDeliveriesResponse) error {
		// Why they wait is an addition: without it the records are sent as they are.
		_ = d.waits.Explain(stream.Context(), batch.GetDeliveries()...)
		return stream.Send(batch)
	})
}

// GetDelivery returns a delivery with all its records.
func (d *deliveriesServer) GetDelivery(ctx context.Context, req *outboundv1.GetDeliveryRequest) (*outboundv1.DeliveryDetail, error) {
	found, err := d.detail.Delivery(ctx, req)
	if err != nil {
		return nil, err
	}
	return found, d.waits.Explain(ctx, found.GetDelivery())
}

// PullDeliveries returns deliveries to the receiver that fetches them.
func (d *deliveriesServer) PullDeliveries(
	ctx context.Context, req *outboundv1.PullDeliveriesRequest,
) (*outboundv1.PullDeliveriesResponse, error) {
	return d.pulls.Pull(ctx, req)
}

// AcknowledgeDeliveries ends what a receiver has.
func (d *deliveriesServer) AcknowledgeDeliveries(
	ctx context.Context, req *outboundv1.AcknowledgeDeliveriesRequest,
) (*outboundv1.AcknowledgeDeliveriesResponse, error) {
	return d.pulls.Acknowledge(ctx, req)
}

// RetryDeliveries sends events again.
func (d *deliveriesServer) RetryDeliveries(
	ctx context.Context, req *outboundv1.RetryDeliveriesRequest,
) (*outboundv1.RetryDeliveriesResponse, error) {
	return d.changes.Retry(ctx, req)
}

// SendNow makes the next attempt of deliveries due now.
func (d *deliveriesServer) SendNow(ctx context.Context, req *outboundv1.SendNowRequest) (*outboundv1.ChangeDeliveriesResponse, error) {
	return d.changes.SendNow(ctx, req)
}

// ProbeRecipient makes an attempt to a recipient at once although its breaker is open.
func (d *deliveriesServer) ProbeRecipient(
	ctx context.Context, req *outboundv1.ProbeRecipientRequest,
) (*outboundv1.ProbeRecipientResponse, error) {
	return d.probe.Recipient(ctx, req)
}

// ExtendDeliveries gives deliveries longer to be tried.
func (d *deliveriesServer) ExtendDeliveries(
	ctx context.Context, req *outboundv1.ExtendDeliveriesRequest,
) (*outboundv1.ChangeDeliveriesResponse, error) {
	return d.changes.Extend(ctx, req)
}

// CancelDeliveries ends deliveries.
func (d *deliveriesServer) CancelDeliveries(
	ctx context.Context, req *outboundv1.CancelDeliveriesRequest,
) (*outboundv1.ChangeDeliveriesResponse, error) {
	return d.changes.Cancel(ctx, req)
}

// PreviewReplay counts what a replay would send.
func (d *deliveriesServer) PreviewReplay(
	ctx context.Context, req *outboundv1.PreviewReplayRequest,
) (*outboundv1.PreviewReplayResponse, error) {
	return d.replays.Preview(ctx, req.GetReplay())
}

// CreateReplay stores a replay, which then runs in the background.
func (d *deliveriesServer) CreateReplay(ctx context.Context, req *outboundv1.CreateReplayRequest) (*outboundv1.Replay, error) {
	return d.replays.Create(ctx, req.GetReplay())
}

// GetReplay returns one replay.
func (d *deliveriesServer) GetReplay(ctx context.Context, req *outboundv1.GetReplayRequest) (*outboundv1.Replay, error) {
	return d.replays.Get(ctx, req.GetId())
}

// ListReplays returns all replays, newest first.
func (d *deliveriesServer) ListReplays(ctx context.Context, _ *outboundv1.ListReplaysRequest) (*outboundv1.ListReplaysResponse, error) {
	all, err := d.replays.List(ctx)
	if err != nil {
		return nil, err
	}
	return &outboundv1.ListReplaysResponse{Replays: all}, nil
}

// CancelReplay stops a replay.
func (d *deliveriesServer) CancelReplay(ctx context.Context, req *outboundv1.CancelReplayRequest) (*outboundv1.Replay, error) {
	return d.replays.Cancel(ctx, req.GetId())
}
