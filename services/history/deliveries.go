package history

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/delivery"
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
	at, err := readCursor(req.GetPageToken(), filters(req))
	if err != nil {
		return nil, err
	}
	if req.GetState() == outboundv1.DeliveryState_WAITING {
		return d.listWaiting(ctx, req, at)
	}
	w, some, err := d.scan(ctx, req, &at)
	if err != nil {
		return nil, err
	}
	resp := &outboundv1.ListDeliveriesResponse{}
	size := pageSize(req.GetPageSize())
	if req.GetEventId() != "" && req.GetPageToken() == "" && req.GetState() == outboundv1.DeliveryState_DELIVERY_STATE_UNSPECIFIED {
		if resp.Deliveries, err = d.waitingOf(ctx, req, size); err != nil {
			return nil, err
		}
	}
	if !some {
		return resp, nil
	}
	found, before, err := w.page(ctx, at.Before, size)
	if err != nil {
		return nil, err
	}
	for _, r := range found {
		resp.Deliveries = append(resp.Deliveries, d.s.deliveryOf(r))
	}
	if before > 0 {
		at.Before = before
		resp.NextPageToken, err = at.token()
	}
	return resp, err
}

// filters is the request without what turns its pages.
func filters(req *outboundv1.ListDeliveriesRequest) proto.Message {
	f, _ := proto.Clone(req).(*outboundv1.ListDeliveriesRequest)
	f.PageSize, f.PageToken = 0, ""
	return f
}

// scan makes the walk that a request asks for, and begins its cursor. some is false if nothing can be in it.
func (d *deliveries) scan(ctx context.Context, req *outboundv1.ListDeliveriesRequest, at *cursor) (w recordScan, some bool, err error) {
	w = recordScan{s: d.s, filter: filterOf(req), maxScan: d.s.o.MaxScan}
	if w.from, some, err = d.s.begin(ctx, at, req.GetStartTime(), req.GetEndTime()); err != nil || !some {
		return w, some, err
	}
	w.until = at.Until
	if req.GetEventId() != "" {
		err = d.s.narrow(ctx, req.GetEventId(), &w.filter)
	}
	return w, true, err
}

// begin begins a cursor of HISTORY that has not begun, and tells where in it a range of time begins. some is false if there is
// nothing in the range.
func (s *Service) begin(ctx context.Context, at *cursor, start, end *timestamppb.Timestamp) (from uint64, some bool, err error) {
	if at.Until == 0 {
		if at.Until, err = s.Log.LastSequence(ctx); err != nil {
			return 0, false, err
		}
		at.Before = at.Until + 1
		if end != nil {
			behind, ok, err := s.Log.SequenceAt(ctx, end.AsTime())
			if err != nil {
				return 0, false, err
			}
			if ok {
				at.Before = min(at.Before, behind)
			}
		}
	}
	if start == nil {
		return 0, true, nil
	}
	return s.Log.SequenceAt(ctx, start.AsTime())
}

// checkFilter refuses values that no id can have, for they become parts of the subjects that are searched, and words that are none.
func checkFilter(req *outboundv1.ListDeliveriesRequest) error {
	var faults []rpc.Violation
	for _, x := range []struct{ field, value, rest string }{
		{"recipientId", req.GetRecipientId(), ""}, {"eventId", req.GetEventId(), "~"}, {"eventType", req.GetEventType(), ""},
		{"applianceId", req.GetApplianceId(), ""}, {"sessionId", req.GetSessionId(), ""}, {"replayId", req.GetReplayId(), ""},
	} {
		if !safe(x.value, x.rest) {
			faults = append(faults, unsafe(x.field))
		}
	}
	if c := delivery.Class(req.GetReasonClass()); c != "" && !slices.Contains(delivery.Classes(), c) {
		faults = append(faults, rpc.Violation{
			Field: "reasonClass", Reason: "UNKNOWN_CLASS", Description: fmt.Sprintf("is not a reason class: use one of %s", listed(delivery.Classes())),
		})
	}
	faults = append(faults, checkTimes(req.GetStartTime(), req.GetEndTime())...)
	if len(faults) > 0 {
		return rpc.InvalidArgument(faults...)
	}
	return nil
}

// checkTimes refuses a range that holds nothing.
func checkTimes(start, end *timestamppb.Timestamp) []rpc.Violation {
	var faults []rpc.Violation
	for _, x := range []struct {
		field string
		at    *timestamppb.Timestamp
	}{{"startTime", start}, {"endTime", end}} {
		if x.at != nil && x.at.CheckValid() != nil {
			faults = append(faults, rpc.Violation{Field: x.field, Reason: "INVALID_TIME", Description: "is not a time: use RFC 3339, e.g. 2026-11-21T10:00:00Z"})
		}
	}
	if len(faults) == 0 && start != nil && end != nil && !end.AsTime().After(start.AsTime()) {
		faults = append(faults, rpc.Violation{Field: "endTime", Reason: "BEFORE_START", Description: "must be after startTime"})
	}
	return faults
}

func listed[T ~string](of []T) string {
	out := make([]string, 0, len(of))
	for _, x := range of {
		out = append(out, string(x))
	}
	return strings.Join(out, ", ")
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
		Field: field, Reason: event.ReasonUnsafe, Description: "is not a valid id: use letters, digits, _ and -",
	}
}

func filterOf(req *outboundv1.ListDeliveriesRequest) bus.AttemptFilter {
	f := bus.AttemptFilter{
		Recipient: req.GetRecipientId(), State: stateOf(req.GetState()), Type: req.GetEventType(), Session: req.GetSessionId(),
		ExternalKey: req.GetExternalKey(), Appliance: req.GetApplianceId(), ReplayID: req.GetReplayId(),
		Channel: req.GetChannel(), Reason: delivery.Reason(req.GetReason()), Class: delivery.Class(req.GetReasonClass()),
	}
	if f.State != "" {
		return f
	}
	if req.GetReason() != "" {
		f.States = delivery.StatesWith(delivery.Reason(req.GetReason()))
	} else if req.GetReasonClass() != "" {
		f.States = delivery.StatesIn(delivery.Class(req.GetReasonClass()))
	}
	return f
}

// narrow reads an event filter, a key or a bare id, into a search filter. Replays stand under tokens of their own, so a search
// by id would miss them: what is known of the event narrows the search instead, and only picks the records of the event.
func (s *Service) narrow(ctx context.Context, eventID string, f *bus.AttemptFilter) error {
	appliance, id, isKey := event.SplitKey(eventID)
	if !isKey {
		appliance, id = f.Appliance, eventID
	}
	f.AnyOf = id
	if isKey && f.Appliance != "" && f.Appliance != appliance {
		// No record has a key for its id, so nothing matches both filters.
		f.AnyOf = eventID
		return nil
	}
	f.Appliance = appliance
	rec, ok, err := s.intake(ctx, appliance, id)
	if err != nil || !ok {
		return err
	}
	f.Appliance = rec.Appliance
	fill(&f.Type, rec.Type)
	fill(&f.Session, rec.Session)
	if f.Session == "" {
		f.Session = bus.NoSession
	}
	fill(&f.ExternalKey, rec.ExternalKey)
	return nil
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
