package history

import (
	"context"
	"fmt"
	"strings"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

type deliveries struct {
	outboundv1.UnimplementedDeliveryServiceServer
	s *Service
}

// ListDeliveries lists deliveries by their latest records, newest first. Deliveries that wait have no record: they are listed
// by a filter for WAITING or for an event, and by no other.
func (d *deliveries) ListDeliveries(ctx context.Context, req *outboundv1.ListDeliveriesRequest) (*outboundv1.ListDeliveriesResponse, error) {
	if err := checkFilter(req); err != nil {
		return nil, err
	}
	if req.GetState() == outboundv1.DeliveryState_WAITING {
		return d.listWaiting(ctx, req)
	}
	at, err := readCursor(req.GetPageToken(), false)
	if err != nil {
		return nil, err
	}
	if at.Until == 0 {
		if at.Until, err = d.s.lastRecord(ctx); err != nil {
			return nil, err
		}
		at.Before = at.Until + 1
	}
	w := walk{log: d.s.Log, filter: filterOf(req), until: at.Until, maxScan: d.s.o.MaxScan}
	if req.GetEventId() != "" {
		if w.only, err = d.s.narrow(ctx, req.GetEventId(), &w.filter); err != nil {
			return nil, err
		}
	}
	size := pageSize(req.GetPageSize())
	found, before, err := w.page(ctx, at.Before, size)
	if err != nil {
		return nil, err
	}
	resp := &outboundv1.ListDeliveriesResponse{}
	if req.GetEventId() != "" && req.GetPageToken() == "" && req.GetState() == outboundv1.DeliveryState_DELIVERY_STATE_UNSPECIFIED {
		if resp.Deliveries, err = d.waitingOf(ctx, req, size); err != nil {
			return nil, err
		}
	}
	for _, r := range found {
		resp.Deliveries = append(resp.Deliveries, deliveryOf(r))
	}
	if before > 0 {
		resp.NextPageToken, err = cursor{Before: before, Until: at.Until}.token()
	}
	return resp, err
}

// checkFilter refuses values that no id can have: they become parts of the subjects that are searched.
func checkFilter(req *outboundv1.ListDeliveriesRequest) error {
	var faults []rpc.Violation
	for _, x := range []struct{ field, value, rest string }{
		{"recipientId", req.GetRecipientId(), ""}, {"eventId", req.GetEventId(), "~"}, {"eventType", req.GetEventType(), ""},
		{"applianceId", req.GetApplianceId(), ""}, {"sessionId", req.GetSessionId(), ""},
	} {
		if !safe(x.value, x.rest) {
			faults = append(faults, unsafe(x.field))
		}
	}
	if len(faults) > 0 {
		return rpc.InvalidArgument(faults...)
	}
	return nil
}

// safe reports whether a value is made of what ids are made of, and of the letters in more.
func safe(value, more string) bool {
	for _, r := range value {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-'
		if !letter && !strings.ContainsRune(more, r) {
			return false
		}
	}
	return true
}

func unsafe(field string) rpc.Violation {
	return rpc.Violation{
		Field: field, Reason: event.ReasonUnsafe, Description: "no id is written so: use letters, digits, _ and -",
	}
}

func filterOf(req *outboundv1.ListDeliveriesRequest) bus.AttemptFilter {
	return bus.AttemptFilter{
		Recipient: req.GetRecipientId(), State: stateOf(req.GetState()), Type: req.GetEventType(), Session: req.GetSessionId(),
		ExternalKey: req.GetExternalKey(), Appliance: req.GetApplianceId(),
	}
}

// lastRecord is the last sequence of HISTORY.
func (s *Service) lastRecord(ctx context.Context) (uint64, error) {
	states, err := s.Bus.StreamStates(ctx)
	if err != nil {
		return 0, fmt.Errorf("look at the end of the log: %w", err)
	}
	for _, x := range states {
		if x.Name == bus.StreamHistory {
			return x.LastSequence, nil
		}
	}
	return 0, fmt.Errorf("look at the end of the log: stream %s is not there", bus.StreamHistory)
}

// narrow reads an event filter, a key or a bare id, into a search filter. Replays stand under tokens of their own, so a search
// by id would miss them: what is known of the event narrows the search instead, and only picks the records of the event.
func (s *Service) narrow(ctx context.Context, eventID string, f *bus.AttemptFilter) (only string, err error) {
	appliance, id, isKey := event.SplitKey(eventID)
	if !isKey {
		appliance, id = f.Appliance, eventID
	}
	if isKey && f.Appliance != "" && f.Appliance != appliance {
		// No record has a key for its id, so nothing matches both filters.
		return eventID, nil
	}
	f.Appliance = appliance
	rec, ok, err := s.intake(ctx, appliance, id)
	if err != nil || !ok {
		return id, err
	}
	f.Appliance = rec.Appliance
	fill(&f.Type, rec.Type)
	fill(&f.Session, rec.Session)
	fill(&f.ExternalKey, rec.ExternalKey)
	return id, nil
}

func fill(to *string, with string) {
	if *to == "" {
		*to = with
	}
}

// intake finds the acceptance of an event. Without an appliance, every known one is asked; an id that several have is not
// narrowed to one of them.
func (s *Service) intake(ctx context.Context, appliance, id string) (rec event.IntakeRecord, ok bool, err error) {
	if appliance != "" {
		return s.Log.Intake(ctx, appliance, id)
	}
	if err := s.configured(ctx); err != nil {
		return rec, false, err
	}
	for known := range s.Config.Settings().Appliances {
		r, found, err := s.Log.Intake(ctx, known, id)
		if err != nil {
			return rec, false, err
		}
		if found && ok {
			return event.IntakeRecord{}, false, nil
		}
		if found {
			rec, ok = r, true
		}
	}
	return rec, ok, nil
}
