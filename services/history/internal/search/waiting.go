package search

import (
	"context"
	"errors"
	"time"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/eventlog"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/recipient"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/history/internal/lookup"
	"github.com/outbound-events/outbound/services/history/internal/protofield"
)

// recorded reports whether a filter asks for what only records have.
func recorded(req *outboundv1.ListDeliveriesRequest) bool {
	return req.GetReason() != "" || req.GetReasonClass() != "" || req.GetReplayId() != ""
}

// within reports whether a time is in the range of a request.
func within(req *outboundv1.ListDeliveriesRequest, t time.Time) bool {
	return (req.GetStartTime() == nil || !t.Before(req.GetStartTime().AsTime())) &&
		(req.GetEndTime() == nil || t.Before(req.GetEndTime().AsTime()))
}

// WaitingOf lists the deliveries of one event that wait, without replays.
func (s *Searcher) WaitingOf(ctx context.Context, req *outboundv1.ListDeliveriesRequest, most int) ([]*outboundv1.Delivery, error) {
	if recorded(req) {
		return nil, nil
	}
	appliance, id, isKey := event.SplitKey(req.GetEventId())
	if !isKey {
		appliance, id = req.GetApplianceId(), req.GetEventId()
	}
	rec, ok, err := s.Events.Intake(ctx, appliance, id)
	if err != nil || !ok {
		return nil, err
	}
	e := lookup.Event(rec)
	if !matches(req, e) || !within(req, rec.Time) {
		return nil, nil
	}
	queues, err := s.openQueues(ctx, req)
	if err != nil {
		return nil, err
	}
	var out []*outboundv1.Delivery
	for _, q := range queues {
		if len(out) == most || !q.owes(e, rec.Sequence) {
			continue
		}
		_, recorded, err := s.Log.Latest(ctx, q.recipient.ID, e, "")
		if err != nil {
			return nil, err
		}
		waits := false
		if recorded == 0 {
			if waits, err = s.waitsIn(ctx, q, rec.Sequence); err != nil {
				return nil, err
			}
		}
		if waits {
			out = append(out, waiting(q.recipient, rec))
		}
	}
	return out, nil
}

// matches reports whether an event matches a filter.
func matches(req *outboundv1.ListDeliveriesRequest, e *event.Event) bool {
	same := func(want, have string) bool { return want == "" || want == have }
	return same(req.GetEventType(), e.Type) && same(req.GetApplianceId(), e.Appliance) && same(req.GetSessionId(), e.Session) &&
		same(req.GetExternalKey(), e.ExternalKey) && (same(req.GetEventId(), e.ID) || req.GetEventId() == e.Key())
}

// waiting makes the delivery of an event that waits for its first attempt.
func waiting(r *recipient.Recipient, rec event.IntakeRecord) *outboundv1.Delivery {
	return &outboundv1.Delivery{
		EventId: event.Key(rec.Appliance, rec.EventID), EventType: rec.Type, ApplianceId: rec.Appliance, RecipientId: r.ID,
		State: outboundv1.DeliveryState_WAITING, SessionId: rec.Session, ExternalKey: rec.ExternalKey,
		AcceptTime: protofield.Timestamp(rec.Time), ExpireTime: protofield.Timestamp(r.Expire(rec.Time)),
		Channel: string(r.Channel()), RecipientDisplayName: r.DisplayName,
	}
}

// listWaiting reads EVENTS from its end back to the first event that any recipient still owes, and lists what has no record, without
// replays.
func (s *Searcher) listWaiting(
	ctx context.Context, req *outboundv1.ListDeliveriesRequest, at cursor,
) (*outboundv1.ListDeliveriesResponse, error) {
	if recorded(req) {
		return &outboundv1.ListDeliveriesResponse{}, nil
	}
	queues, err := s.openQueues(ctx, req)
	if err != nil || len(queues) == 0 {
		return &outboundv1.ListDeliveriesResponse{}, err
	}
	from, err := s.eventRange(ctx, req, &at)
	if err != nil {
		return nil, err
	}
	first := at.Before
	for _, q := range queues {
		first = min(first, max(q.backlog.AckFloor+1, q.recipient.StartSequence, from, 1))
	}
	resp := &outboundv1.ListDeliveriesResponse{}
	size := pageSize(req.GetPageSize())
	for scanned := 0; at.Before > first && len(resp.Deliveries) < size && scanned < s.MaxScan/4; scanned++ {
		at.Before--
		more, err := s.waitingAt(ctx, req, queues, at.Before)
		if err != nil {
			return nil, err
		}
		// All recipients of an event are on one page, so that the token need not name one.
		resp.Deliveries = append(resp.Deliveries, more...)
	}
	if at.Before > first {
		resp.NextPageToken, err = at.token()
	}
	return resp, err
}

// eventRange begins a cursor that has not begun, and returns where in EVENTS the range of a request begins.
func (s *Searcher) eventRange(ctx context.Context, req *outboundv1.ListDeliveriesRequest, at *cursor) (from uint64, err error) {
	last, err := eventlog.New(s.Bus).LastSequence(ctx)
	if err != nil {
		return 0, err
	}
	if at.Before == 0 {
		at.Before = last + 1
		if req.GetEndTime() != nil {
			end, ok, err := eventlog.New(s.Bus).EventSequenceAt(ctx, req.GetEndTime().AsTime())
			if err != nil {
				return 0, err
			}
			if ok {
				at.Before = end
			}
		}
	}
	if req.GetStartTime() == nil {
		return 0, nil
	}
	from, ok, err := eventlog.New(s.Bus).EventSequenceAt(ctx, req.GetStartTime().AsTime())
	if !ok {
		from = last + 1
	}
	return from, err
}

// waitingAt returns the deliveries that wait of the event at a sequence of EVENTS.
func (s *Searcher) waitingAt(
	ctx context.Context, req *outboundv1.ListDeliveriesRequest, queues []*recipientQueue, sequence uint64,
) ([]*outboundv1.Delivery, error) {
	e, err := eventlog.New(s.Bus).StoredEvent(ctx, sequence)
	if errors.Is(err, bus.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if !matches(req, e) {
		return nil, nil
	}
	var out []*outboundv1.Delivery
	var rec event.IntakeRecord
	for _, q := range queues {
		if !q.owes(e, sequence) {
			continue
		}
		if _, recorded, err := s.Log.Latest(ctx, q.recipient.ID, e, ""); err != nil || recorded != 0 {
			if err != nil {
				return nil, err
			}
			continue
		}
		if rec.EventID == "" {
			var ok bool
			if rec, ok, err = s.Log.Intake(ctx, e.Appliance, e.ID); err != nil {
				return nil, err
			}
			if !ok || rec.Sequence != sequence {
				// A replay of the event, or one whose acceptance is not recorded yet.
				return nil, nil
			}
		}
		waits, err := s.waitsIn(ctx, q, sequence)
		if err != nil {
			return nil, err
		}
		if waits {
			out = append(out, waiting(q.recipient, rec))
		}
	}
	return out, nil
}
