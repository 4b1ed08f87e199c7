package history

import (
	"context"

	"google.golang.org/protobuf/proto"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/history/internal/lookup"
	"github.com/outbound-events/outbound/services/history/internal/protofield"
)

type events struct {
	outboundv1.UnimplementedEventServiceServer
	s *Service
}

// ListEvents lists intake decisions, newest first.
func (v *events) ListEvents(ctx context.Context, req *outboundv1.ListEventsRequest) (*outboundv1.ListEventsResponse, error) {
	if err := checkEvents(req); err != nil {
		return nil, err
	}
	asked, _ := proto.Clone(req).(*outboundv1.ListEventsRequest)
	asked.PageSize, asked.PageToken = 0, ""
	at, err := readCursor(req.GetPageToken(), asked)
	if err != nil {
		return nil, err
	}
	resp := &outboundv1.ListEventsResponse{}
	from, some, err := v.s.begin(ctx, &at, req.GetStartTime(), req.GetEndTime())
	if err != nil || !some {
		return resp, err
	}
	search := v.s.findIntakes(bus.IntakeFilter{
		Appliance: req.GetApplianceId(), Accepted: req.GetDecision() == outboundv1.Intake_ACCEPTED, Rejected: req.GetDecision() == outboundv1.Intake_REJECTED,
		Type: req.GetEventType(), Session: req.GetSessionId(), ExternalKey: req.GetExternalKey(),
	}, bus.Range{From: from, Before: at.Before})
	size := pageSize(req.GetPageSize())
	next := search.Before()
	for len(resp.GetEvents()) < size && search.Before() > 0 && search.Looked() < v.s.o.MaxScan {
		found, err := search.Next(ctx, size-len(resp.GetEvents()))
		if err != nil {
			return nil, err
		}
		next = search.Before()
		for i, r := range found {
			resp.Events = append(resp.Events, eventOf(r.IntakeRecord))
			if len(resp.GetEvents()) == size {
				if i < len(found)-1 {
					next = r.Sequence
				}
				break
			}
		}
	}
	if next > 0 {
		at.Before = next
		resp.NextPageToken, err = at.token()
	}
	return resp, err
}

// checkEvents refuses values that no id can have, and a range that holds nothing.
func checkEvents(req *outboundv1.ListEventsRequest) error {
	faults := checkTimes(req.GetStartTime(), req.GetEndTime())
	for field, value := range map[string]string{"applianceId": req.GetApplianceId(), "eventType": req.GetEventType(), "sessionId": req.GetSessionId()} {
		if !lookup.ValidID(value, "") {
			faults = append(faults, lookup.InvalidID(field))
		}
	}
	if len(faults) > 0 {
		return rpc.InvalidArgument(faults...)
	}
	return nil
}

// deliveriesShown is how many deliveries of an event are shown with it; ListDeliveries pages through more.
const deliveriesShown = 1000

// GetEvent gets an event with its deliveries, its timeline, its routes, and its text if that is still stored. A bare id will do if one appliance alone
// has it.
func (v *events) GetEvent(ctx context.Context, req *outboundv1.GetEventRequest) (*outboundv1.Event, error) {
	if !lookup.ValidID(req.GetEventId(), "~") {
		return nil, rpc.InvalidArgument(lookup.InvalidID("eventId"))
	}
	appliance, id, isKey := event.SplitKey(req.GetEventId())
	if !isKey {
		appliance, id = "", req.GetEventId()
	}
	rec, ok, err := v.s.find.Intake(ctx, appliance, id)
	if err == nil && !ok {
		rec, ok, err = v.s.delivered(ctx, appliance, id)
	}
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
		e.Timeline, err = v.s.timeline(ctx, rec, nil)
		return e, err
	}
	if err := lookup.AwaitConfig(ctx, v.s.Config); err != nil {
		return nil, err
	}
	stored, err := v.s.find.StoredEvent(ctx, rec.Sequence, e.GetEventId())
	if err != nil {
		return nil, err
	}
	if stored != nil {
		e.CloudEventJson = protofield.Text(string(stored.Raw))
	}
	if e.Deliveries, err = v.s.known(ctx, e.GetEventId()); err != nil {
		return nil, err
	}
	if e.Timeline, err = v.s.timeline(ctx, rec, e.GetDeliveries()); err != nil {
		return nil, err
	}
	e.Routes = v.s.routes(rec, stored, e.GetDeliveries())
	return e, nil
}

// delivered finds an event whose acceptance has no record by what the log has of its deliveries: the record may not be made up for yet,
// or have been dropped before theirs.
func (s *Service) delivered(ctx context.Context, appliance, id string) (rec event.IntakeRecord, ok bool, err error) {
	if appliance == "" {
		return rec, false, nil
	}
	found, err := s.Log.Attempts(ctx, bus.AttemptFilter{Appliance: appliance, EventID: id}, 0, 1)
	if err != nil || len(found) == 0 {
		return rec, false, err
	}
	r := found[0]
	return event.IntakeRecord{
		Accepted: true, Appliance: r.Appliance, EventID: r.EventID, Type: r.Type, Session: r.Session, ExternalKey: r.ExternalKey,
		Time: r.Accepted, Sequence: r.Record.Sequence, Recovered: true,
	}, true, nil
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
