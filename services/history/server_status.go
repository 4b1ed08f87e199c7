package history

import (
	"context"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/history/internal/status"
	"github.com/outbound-events/outbound/services/history/internal/timeseries"
)

// statusServer answers StatusService.
type statusServer struct {
	outboundv1.UnimplementedStatusServiceServer
	status *status.Reporter
	series *timeseries.Reader
}

// GetStatus returns the status.
func (h *statusServer) GetStatus(ctx context.Context, req *outboundv1.GetStatusRequest) (*outboundv1.Status, error) {
	return h.status.Status(ctx, req.GetRecipientId())
}

// WatchStatus sends the status, and sends it again after each change.
func (h *statusServer) WatchStatus(req *outboundv1.WatchStatusRequest, stream outboundv1.StatusService_WatchStatusServer) error {
	return h.status.Watch(stream.Context(), req.GetRecipientId(), stream.Send)
}

// GetTimeSeries returns what happened in the last hour, day or week.
func (h *statusServer) GetTimeSeries(ctx context.Context, req *outboundv1.GetTimeSeriesRequest) (*outboundv1.TimeSeries, error) {
	return h.series.Read(ctx, req)
}
