package history

import (
	"context"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/history/internal/changes"
	"github.com/outbound-events/outbound/services/history/internal/detail"
	"github.com/outbound-events/outbound/services/history/internal/replay"
	"github.com/outbound-events/outbound/services/history/internal/search"
)

// deliveriesServer answers DeliveryService.
type deliveriesServer struct {
	outboundv1.UnimplementedDeliveryServiceServer
	search  *search.Searcher
	detail  *detail.Reader
	replays *replay.Replayer
	changes *changes.Changer
}

// ListDeliveries lists deliveries, newest first.
func (d *deliveriesServer) ListDeliveries(
	ctx context.Context, req *outboundv1.ListDeliveriesRequest,
) (*outboundv1.ListDeliveriesResponse, error) {
	return d.search.ListDeliveries(ctx, req)
}

// TailDeliveries sends records as they come.
func (d *deliveriesServer) TailDeliveries(
	req *outboundv1.TailDeliveriesRequest, stream outboundv1.DeliveryService_TailDeliveriesServer,
) error {
	return d.search.Tail(stream.Context(), req, stream.Send)
}

// GetDelivery returns a delivery with all its records.
func (d *deliveriesServer) GetDelivery(ctx context.Context, req *outboundv1.GetDeliveryRequest) (*outboundv1.DeliveryDetail, error) {
	return d.detail.Delivery(ctx, req)
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
