package search

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasonclass"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/history/internal/lookup"
)

// checkFilter refuses values that are no valid ids, because they become parts of the subjects that are searched, and unknown classes.
func checkFilter(req *outboundv1.ListDeliveriesRequest) error {
	var faults []rpc.Violation
	for _, x := range []struct{ field, value, rest string }{
		{"recipientId", req.GetRecipientId(), ""}, {"eventId", req.GetEventId(), "~"}, {"eventType", req.GetEventType(), ""},
		{"applianceId", req.GetApplianceId(), ""}, {"sessionId", req.GetSessionId(), ""}, {"replayId", req.GetReplayId(), ""},
	} {
		if !lookup.ValidID(x.value, x.rest) {
			faults = append(faults, lookup.InvalidID(x.field))
		}
	}
	if c := reasonclass.Class(req.GetReasonClass()); c != "" && !slices.Contains(reasonclass.All(), c) {
		faults = append(faults, rpc.Violation{
			Field: "reasonClass", Reason: "UNKNOWN_CLASS",
			Description: fmt.Sprintf("is not a reason class: use one of %s", listed(reasonclass.All())),
		})
	}
	faults = append(faults, checkTimes(req.GetStartTime(), req.GetEndTime())...)
	if len(faults) > 0 {
		return rpc.InvalidArgument(faults...)
	}
	return nil
}

// checkTimes refuses an empty range.
func checkTimes(start, end *timestamppb.Timestamp) []rpc.Violation {
	var faults []rpc.Violation
	for _, x := range []struct {
		field string
		at    *timestamppb.Timestamp
	}{{"startTime", start}, {"endTime", end}} {
		if x.at != nil && x.at.CheckValid() != nil {
			faults = append(faults, rpc.Violation{Field: x.field, Reason: "INVALID_TIME",
				Description: "is not a time: use RFC 3339, e.g. 2026-11-21T10:00:00Z"})
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

func filterOf(req *outboundv1.ListDeliveriesRequest) deliverylog.AttemptFilter {
	f := deliverylog.AttemptFilter{
		Recipient: req.GetRecipientId(), State: stateOf(req.GetState()), Type: req.GetEventType(), Session: req.GetSessionId(),
		ExternalKey: req.GetExternalKey(), Appliance: req.GetApplianceId(), ReplayID: req.GetReplayId(),
		Channel: req.GetChannel(), Reason: reasons.Reason(req.GetReason()), Class: reasonclass.Class(req.GetReasonClass()),
	}
	if f.State != "" {
		return f
	}
	if req.GetReason() != "" {
		f.States = delivery.StatesWith(reasons.Reason(req.GetReason()))
	} else if req.GetReasonClass() != "" {
		f.States = delivery.StatesIn(reasonclass.Class(req.GetReasonClass()))
	}
	return f
}

// narrow adds an event, by its key or bare id, to a search filter. Replays have other ids in the log, so a search by id would miss them:
// what is known of the event narrows the search, and AnyOf selects the records of the event.
func (s *Searcher) narrow(ctx context.Context, eventID string, f *deliverylog.AttemptFilter) error {
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
	rec, ok, err := s.Events.Intake(ctx, appliance, id)
	if err != nil || !ok {
		return err
	}
	f.Appliance = rec.Appliance
	fill(&f.Type, rec.Type)
	fill(&f.Session, rec.Session)
	if f.Session == "" {
		f.Session = deliverylog.NoSession
	}
	fill(&f.ExternalKey, rec.ExternalKey)
	return nil
}

func fill(to *string, with string) {
	if *to == "" {
		*to = with
	}
}
