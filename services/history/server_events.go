package history

import (
	"context"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/history/internal/detail"
	"github.com/outbound-events/outbound/services/history/internal/search"
	"github.com/outbound-events/outbound/services/history/internal/waits"
)

// eventsServer answers EventService but for PublishEvent, which ingest answers.
type eventsServer struct {
	outboundv1.UnimplementedEventServiceServer
	search *search.Searcher
	detail *detail.Reader
	waits  *waits.Explainer
}

// ListEvents lists intake decisions, newest first.
func (e *eventsServer) ListEvents(ctx context.Context, req *outboundv1.ListEventsRequest) (*outboundv1.ListEventsResponse, error) {
	return e.search.ListEvents(ctx, req)
}

// GetEvent returns an event with its deliveries.
func (e *eventsServer) GetEvent(ctx context.Context, req *outboundv1.GetEventRequest) (*outboundv1.Event, error) {
	found, err := e.detail.Event(ctx, req)
	if err != nil {
		return nil, err
	}
	return found, e.waits.Explain(ctx, found.GetDeliveries()...)
}
