package search

import (
	"context"

	"google.golang.org/protobuf/proto"

	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/history/internal/lookup"
)

// ListEvents lists intake decisions, newest first.
func (s *Searcher) ListEvents(ctx context.Context, req *outboundv1.ListEventsRequest) (*outboundv1.ListEventsResponse, error) {
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
	from, some, err := s.openCursor(ctx, &at, req.GetStartTime(), req.GetEndTime())
	if err != nil || !some {
		return resp, err
	}
	search := s.findIntakes(deliverylog.IntakeFilter{
		Appliance: req.GetApplianceId(),
		Accepted:  req.GetDecision() == outboundv1.Intake_ACCEPTED, Rejected: req.GetDecision() == outboundv1.Intake_REJECTED,
		Type: req.GetEventType(), Session: req.GetSessionId(), ExternalKey: req.GetExternalKey(),
	}, deliverylog.Range{From: from, Before: at.Before})
	size := pageSize(req.GetPageSize())
	next := search.Before()
	for len(resp.GetEvents()) < size && search.Before() > 0 && search.Looked() < s.MaxScan {
		found, err := search.Next(ctx, size-len(resp.GetEvents()))
		if err != nil {
			return nil, err
		}
		next = search.Before()
		for i, r := range found {
			resp.Events = append(resp.Events, Event(r.IntakeRecord))
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

// checkEvents refuses values that are no valid ids, and an empty range.
func checkEvents(req *outboundv1.ListEventsRequest) error {
	faults := checkTimes(req.GetStartTime(), req.GetEndTime())
	for field, value := range map[string]string{
		"applianceId": req.GetApplianceId(), "eventType": req.GetEventType(),
	} {
		if !lookup.ValidID(value, "") {
			faults = append(faults, lookup.InvalidID(field))
		}
	}
	if len(faults) > 0 {
		return rpc.InvalidArgument(faults...)
	}
	return nil
}
