package allinone

import (
	"context"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// events serves EventService with two services: ingest accepts events, history lists them.
type events struct {
	outboundv1.EventServiceServer // history's
	intake                        outboundv1.EventServiceServer
}

// PublishEvent implements outboundv1.EventServiceServer.
func (e events) PublishEvent(ctx context.Context, r *outboundv1.PublishEventRequest) (*outboundv1.PublishEventResponse, error) {
	return e.intake.PublishEvent(ctx, r)
}
