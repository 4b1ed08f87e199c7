package search

import (
	"context"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// ListDeliveries lists deliveries by their latest records, newest first. Deliveries that wait have no record: they are listed
// by a filter for WAITING or for an event, and by no other.
func (s *Searcher) ListDeliveries(ctx context.Context, req *outboundv1.ListDeliveriesRequest) (*outboundv1.ListDeliveriesResponse, error) {
	if err := checkFilter(req); err != nil {
		return nil, err
	}
	at, err := readCursor(req.GetPageToken(), filters(req))
	if err != nil {
		return nil, err
	}
	if req.GetState() == outboundv1.DeliveryState_WAITING {
		return s.listWaiting(ctx, req, at)
	}
	w, some, err := s.scan(ctx, req, &at)
	if err != nil {
		return nil, err
	}
	resp := &outboundv1.ListDeliveriesResponse{}
	size := pageSize(req.GetPageSize())
	if req.GetEventId() != "" && req.GetPageToken() == "" && req.GetState() == outboundv1.DeliveryState_DELIVERY_STATE_UNSPECIFIED {
		if resp.Deliveries, err = s.WaitingOf(ctx, req, size); err != nil {
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
		resp.Deliveries = append(resp.Deliveries, s.Delivery(r))
	}
	if before > 0 {
		at.Before = before
		resp.NextPageToken, err = at.token()
	}
	return resp, err
}

// filters returns the request without its page size and token.
func filters(req *outboundv1.ListDeliveriesRequest) proto.Message {
	f, _ := proto.Clone(req).(*outboundv1.ListDeliveriesRequest)
	f.PageSize, f.PageToken = 0, ""
	return f
}

// scan makes the scan that a request asks for, and begins its cursor. some is false if nothing can match.
func (s *Searcher) scan(ctx context.Context, req *outboundv1.ListDeliveriesRequest, at *cursor) (w recordScan, some bool, err error) {
	w = recordScan{s: s, filter: filterOf(req), maxScan: s.MaxScan}
	if w.from, some, err = s.openCursor(ctx, at, req.GetStartTime(), req.GetEndTime()); err != nil || !some {
		return w, some, err
	}
	w.until = at.Until
	if req.GetEventId() != "" {
		err = s.narrow(ctx, req.GetEventId(), &w.filter)
	}
	return w, true, err
}

// openCursor begins a cursor of HISTORY that has not begun, and returns the first sequence of a range of time. some is false if
// the range is empty.
func (s *Searcher) openCursor(ctx context.Context, at *cursor, start, end *timestamppb.Timestamp) (from uint64, some bool, err error) {
	if at.Until == 0 {
		if at.Until, err = s.Log.LastSequence(ctx); err != nil {
			return 0, false, err
		}
		at.Before = at.Until + 1
		if end != nil {
			after, ok, err := s.Log.SequenceAt(ctx, end.AsTime())
			if err != nil {
				return 0, false, err
			}
			if ok {
				at.Before = min(at.Before, after)
			}
		}
	}
	if start == nil {
		return 0, true, nil
	}
	return s.Log.SequenceAt(ctx, start.AsTime())
}
