package detail

import (
	"context"

	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/history/internal/lookup"
	"github.com/outbound-events/outbound/services/history/internal/protofield"
	"github.com/outbound-events/outbound/services/history/internal/search"
)

// deliveriesShown is how many deliveries of an event are shown with it; ListDeliveries has all.
const deliveriesShown = 1000

// Event returns an event with its deliveries, its timeline, its routes, and its text if that is still stored. A bare id is enough if
// only one appliance has it.
func (s *Reader) Event(ctx context.Context, req *outboundv1.GetEventRequest) (*outboundv1.Event, error) {
	asked := lookup.EventKey(req.GetEventId())
	appliance, id, isKey := event.SplitKey(asked)
	if !isKey {
		appliance, id = "", asked
	}
	if !lookup.ValidKey(appliance, id) {
		return nil, rpc.InvalidArgument(lookup.InvalidID("eventId"))
	}
	rec, ok, err := s.Events.Intake(ctx, appliance, id)
	if err == nil && !ok {
		rec, ok, err = s.fromAttempts(ctx, appliance, id)
	}
	if err == nil && !ok {
		rec, ok, err = s.refused(ctx, appliance, id)
	}
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, rpc.NotFound("event", req.GetEventId())
	}
	e := search.Event(rec)
	if !rec.Accepted {
		e.Timeline, err = s.timeline(ctx, rec, nil)
		return e, err
	}
	if err := lookup.AwaitConfig(ctx, s.Config); err != nil {
		return nil, err
	}
	stored, err := s.Events.StoredEvent(ctx, rec.Sequence, e.GetEventId())
	if err != nil {
		return nil, err
	}
	if stored != nil {
		e.CloudEventJson = protofield.Text(string(stored.Raw))
	}
	if e.Deliveries, err = s.deliveriesOf(ctx, e.GetEventId()); err != nil {
		return nil, err
	}
	if e.Timeline, err = s.timeline(ctx, rec, e.GetDeliveries()); err != nil {
		return nil, err
	}
	e.Routes = s.routes(rec, stored, e.GetDeliveries())
	return e, nil
}

// fromAttempts derives the acceptance of an event, which has no record, from those of its deliveries: the record may not be recovered yet,
// or may have been dropped before theirs.
func (s *Reader) fromAttempts(ctx context.Context, appliance, id string) (rec event.IntakeRecord, ok bool, err error) {
	if appliance == "" {
		return rec, false, nil
	}
	found, err := s.Log.Attempts(ctx, deliverylog.AttemptFilter{Appliance: appliance, EventID: id}, 0, 1)
	if err != nil || len(found) == 0 {
		return rec, false, err
	}
	r := found[0]
	return event.IntakeRecord{
		Accepted: true, Appliance: r.Appliance, EventID: r.EventID, Type: r.Type, Session: r.Session, ExternalKey: r.ExternalKey,
		Time: r.Accepted, Sequence: r.Record.Sequence, Recovered: true,
	}, true, nil
}

// refusalsRead is how many refusals of an appliance are read to find one.
const refusalsRead = 1000

// refused returns the newest refusal of an event, among the last ones of its appliance.
func (s *Reader) refused(ctx context.Context, appliance, id string) (event.IntakeRecord, bool, error) {
	found, err := s.Log.Intakes(ctx, appliance, false, true, 0, refusalsRead)
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
