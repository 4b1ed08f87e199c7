package history

import (
	"context"
	"errors"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

type events struct {
	outboundv1.UnimplementedEventServiceServer
	s *Service
}

// ListEvents lists intake decisions, newest first.
func (v *events) ListEvents(ctx context.Context, req *outboundv1.ListEventsRequest) (*outboundv1.ListEventsResponse, error) {
	at, err := readCursor(req.GetPageToken(), false)
	if err != nil {
		return nil, err
	}
	if !safe(req.GetApplianceId(), "") {
		return nil, rpc.InvalidArgument(unsafe("applianceId"))
	}
	accepted := req.GetDecision() != outboundv1.Intake_REJECTED
	rejected := req.GetDecision() != outboundv1.Intake_ACCEPTED
	size := pageSize(req.GetPageSize())
	found, err := v.s.Log.Intakes(ctx, req.GetApplianceId(), accepted, rejected, at.Before, size+1)
	if err != nil {
		return nil, err
	}
	resp := &outboundv1.ListEventsResponse{}
	for _, r := range found[:min(size, len(found))] {
		resp.Events = append(resp.Events, eventOf(r.IntakeRecord))
	}
	if len(found) > size {
		resp.NextPageToken, err = cursor{Before: found[size-1].Sequence}.token()
	}
	return resp, err
}

// deliveriesShown is how many deliveries of an event are shown with it; ListDeliveries pages through more.
const deliveriesShown = 1000

// GetEvent gets an event with its deliveries, and its text if that is still stored. A bare id will do if one appliance alone
// has it.
func (v *events) GetEvent(ctx context.Context, req *outboundv1.GetEventRequest) (*outboundv1.Event, error) {
	if !safe(req.GetEventId(), "~") {
		return nil, rpc.InvalidArgument(unsafe("eventId"))
	}
	appliance, id, isKey := event.SplitKey(req.GetEventId())
	if !isKey {
		appliance, id = "", req.GetEventId()
	}
	rec, ok, err := v.s.intake(ctx, appliance, id)
	if err == nil && !ok {
		rec, ok, err = v.refused(ctx, appliance, id)
	}
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, rpc.NotFound("event", req.GetEventId())
	}
	e := eventOf(rec)
	if !rec.Accepted {
		return e, nil
	}
	stored, err := v.s.Bus.StoredEvent(ctx, rec.Sequence)
	switch {
	case err == nil && stored.Key() == e.GetEventId():
		e.CloudEventJson = toValid(string(stored.Raw))
	case err != nil && !errors.Is(err, bus.ErrNotFound):
		return nil, err
	}
	all, err := (&deliveries{s: v.s}).ListDeliveries(ctx, &outboundv1.ListDeliveriesRequest{EventId: e.GetEventId(), PageSize: deliveriesShown})
	if err != nil {
		return nil, err
	}
	e.Deliveries = all.GetDeliveries()
	return e, nil
}

// refusalsLooked is how many of an appliance's refusals are looked at for one.
const refusalsLooked = 1000

// refused finds the newest refusal of an event among the last ones of its appliance.
func (v *events) refused(ctx context.Context, appliance, id string) (event.IntakeRecord, bool, error) {
	found, err := v.s.Log.Intakes(ctx, appliance, false, true, 0, refusalsLooked)
	if err != nil {
		return event.IntakeRecord{}, false, err
	}
	for _, r := range found {
		if r.EventID == id {
			return r.IntakeRecord, true, nil
		}
	}
	return event.IntakeRecord{}, false, nil
}
