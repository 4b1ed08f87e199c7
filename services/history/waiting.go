package history

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// queue is a recipient whose queue is not empty.
type queue struct {
	recipient *recipient.Recipient
	backlog   bus.Backlog
	// untried is how many messages are out without a record; counted says that they have been counted.
	untried int
	counted bool
}

// owes reports whether an event at a sequence of EVENTS may be the recipient's and not settled by the broker's account.
func (q *queue) owes(e *event.Event, sequence uint64) bool {
	return sequence > q.backlog.AckFloor && sequence >= q.recipient.StartSequence &&
		q.recipient.WantsType(e.Type) && q.recipient.WantsAppliance(e.Appliance)
}

// waitsIn reports whether an event without a record, which q may owe, waits. What has not been given out does. What the
// broker has gone past waits only if it is out, in its first attempt or put off; else it did not match when its turn came,
// and a later change of the recipient's types made it match.
func (s *Service) waitsIn(ctx context.Context, q *queue, sequence uint64) (bool, error) {
	if sequence > q.backlog.Given {
		return q.backlog.Waiting > 0, nil
	}
	if !q.counted {
		last, err := s.Log.LastSequence(ctx)
		if err != nil {
			return false, err
		}
		w := recordScan{s: s, filter: bus.AttemptFilter{Recipient: q.recipient.ID, State: delivery.StateRetrying}, until: last, maxScan: s.o.MaxScan}
		retrying, _, err := w.page(ctx, last+1, int(min(q.backlog.Unsettled, 1<<20)))
		if err != nil {
			return false, err
		}
		q.untried, q.counted = int(min(q.backlog.Unsettled, 1<<20))-len(retrying), true
	}
	q.untried--
	return q.untried >= 0, nil
}

// queues looks at the queues of the recipients that a filter names, and leaves out those that are empty.
func (s *Service) queues(ctx context.Context, req *outboundv1.ListDeliveriesRequest) ([]*queue, error) {
	if err := s.configured(ctx); err != nil {
		return nil, err
	}
	var meant []*recipient.Recipient
	for _, r := range s.Config.Recipients() {
		if (req.GetRecipientId() == "" || r.ID == req.GetRecipientId()) && (req.GetChannel() == "" || string(r.Channel()) == req.GetChannel()) {
			meant = append(meant, r)
		}
	}
	if len(meant) == 0 {
		return nil, nil
	}
	looked := make([]recipientFacts, len(meant))
	if err := s.lookAtQueues(ctx, meant, looked); err != nil {
		return nil, err
	}
	var out []*queue
	for i, r := range meant {
		if b := looked[i].backlog; b.Waiting+b.Unsettled > 0 {
			out = append(out, &queue{recipient: r, backlog: b})
		}
	}
	slices.SortFunc(out, func(a, b *queue) int { return cmp.Compare(a.recipient.ID, b.recipient.ID) })
	return out, nil
}

// recorded reports whether a filter asks for what only records tell.
func recorded(req *outboundv1.ListDeliveriesRequest) bool {
	return req.GetReason() != "" || req.GetReasonClass() != "" || req.GetReplayId() != ""
}

// within reports whether a time is in the range of a request.
func within(req *outboundv1.ListDeliveriesRequest, t time.Time) bool {
	return (req.GetStartTime() == nil || !t.Before(req.GetStartTime().AsTime())) && (req.GetEndTime() == nil || t.Before(req.GetEndTime().AsTime()))
}

// waitingOf lists the recipients that one event waits for. Replays that wait are not listed.
func (d *deliveries) waitingOf(ctx context.Context, req *outboundv1.ListDeliveriesRequest, most int) ([]*outboundv1.Delivery, error) {
	if recorded(req) {
		return nil, nil
	}
	appliance, id, isKey := event.SplitKey(req.GetEventId())
	if !isKey {
		appliance, id = req.GetApplianceId(), req.GetEventId()
	}
	rec, ok, err := d.s.intake(ctx, appliance, id)
	if err != nil || !ok {
		return nil, err
	}
	e := eventIn(rec)
	if !matches(req, e) || !within(req, rec.Time) {
		return nil, nil
	}
	queues, err := d.s.queues(ctx, req)
	if err != nil {
		return nil, err
	}
	var out []*outboundv1.Delivery
	for _, q := range queues {
		if len(out) == most || !q.owes(e, rec.Sequence) {
			continue
		}
		_, recorded, err := d.s.Log.Latest(ctx, q.recipient.ID, e, "")
		if err != nil {
			return nil, err
		}
		waits := false
		if recorded == 0 {
			if waits, err = d.s.waitsIn(ctx, q, rec.Sequence); err != nil {
				return nil, err
			}
		}
		if waits {
			out = append(out, waiting(q.recipient, rec))
		}
	}
	return out, nil
}

// eventIn is the event of an intake record, as far as the log is searched by it.
func eventIn(r event.IntakeRecord) *event.Event {
	return &event.Event{ID: r.EventID, Appliance: r.Appliance, Type: r.Type, Session: r.Session, ExternalKey: r.ExternalKey}
}

func matches(req *outboundv1.ListDeliveriesRequest, e *event.Event) bool {
	same := func(want, have string) bool { return want == "" || want == have }
	return same(req.GetEventType(), e.Type) && same(req.GetApplianceId(), e.Appliance) && same(req.GetSessionId(), e.Session) &&
		same(req.GetExternalKey(), e.ExternalKey) && (same(req.GetEventId(), e.ID) || req.GetEventId() == e.Key())
}

func waiting(r *recipient.Recipient, rec event.IntakeRecord) *outboundv1.Delivery {
	return &outboundv1.Delivery{
		EventId: event.Key(rec.Appliance, rec.EventID), EventType: rec.Type, ApplianceId: rec.Appliance, RecipientId: r.ID,
		State: outboundv1.DeliveryState_WAITING, SessionId: rec.Session, ExternalKey: rec.ExternalKey,
		AcceptTime: timestamp(rec.Time), ExpireTime: timestamp(rec.Time.Add(r.Retry.Duration)),
		Channel: string(r.Channel()), RecipientDisplayName: r.DisplayName,
	}
}

// listWaiting walks EVENTS from its end back to the first event that any recipient still owes, and lists what has no record.
// Replays that wait are not listed.
func (d *deliveries) listWaiting(ctx context.Context, req *outboundv1.ListDeliveriesRequest, at cursor) (*outboundv1.ListDeliveriesResponse, error) {
	if recorded(req) {
		return &outboundv1.ListDeliveriesResponse{}, nil
	}
	queues, err := d.s.queues(ctx, req)
	if err != nil || len(queues) == 0 {
		return &outboundv1.ListDeliveriesResponse{}, err
	}
	from, err := d.eventRange(ctx, req, &at)
	if err != nil {
		return nil, err
	}
	first := at.Before
	for _, q := range queues {
		first = min(first, max(q.backlog.AckFloor+1, q.recipient.StartSequence, from, 1))
	}
	resp := &outboundv1.ListDeliveriesResponse{}
	size := pageSize(req.GetPageSize())
	for scanned := 0; at.Before > first && len(resp.Deliveries) < size && scanned < d.s.o.MaxScan/4; scanned++ {
		at.Before--
		more, err := d.waitingAt(ctx, req, queues, at.Before)
		if err != nil {
			return nil, err
		}
		// All recipients of an event stand on one page, so that the token need not name one.
		resp.Deliveries = append(resp.Deliveries, more...)
	}
	if at.Before > first {
		resp.NextPageToken, err = at.token()
	}
	return resp, err
}

// eventRange begins a cursor that has not begun, and tells where in EVENTS the range of a request begins.
func (d *deliveries) eventRange(ctx context.Context, req *outboundv1.ListDeliveriesRequest, at *cursor) (from uint64, err error) {
	last, err := d.s.Bus.LastSequence(ctx)
	if err != nil {
		return 0, err
	}
	if at.Before == 0 {
		at.Before = last + 1
		if req.GetEndTime() != nil {
			end, ok, err := d.s.Bus.EventSequenceAt(ctx, req.GetEndTime().AsTime())
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
	from, ok, err := d.s.Bus.EventSequenceAt(ctx, req.GetStartTime().AsTime())
	if !ok {
		from = last + 1
	}
	return from, err
}

func (d *deliveries) waitingAt(ctx context.Context, req *outboundv1.ListDeliveriesRequest, queues []*queue, sequence uint64) ([]*outboundv1.Delivery, error) {
	e, err := d.s.Bus.StoredEvent(ctx, sequence)
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
		if _, recorded, err := d.s.Log.Latest(ctx, q.recipient.ID, e, ""); err != nil || recorded != 0 {
			if err != nil {
				return nil, err
			}
			continue
		}
		if rec.EventID == "" {
			var ok bool
			if rec, ok, err = d.s.Log.Intake(ctx, e.Appliance, e.ID); err != nil {
				return nil, err
			}
			if !ok || rec.Sequence != sequence {
				// A replay of the event, or one whose acceptance is not recorded yet.
				return nil, nil
			}
		}
		waits, err := d.s.waitsIn(ctx, q, sequence)
		if err != nil {
			return nil, err
		}
		if waits {
			out = append(out, waiting(q.recipient, rec))
		}
	}
	return out, nil
}

var errUnconfigured = rpc.Unavailable("the configuration has not been received yet because the config service does not respond: try again")
