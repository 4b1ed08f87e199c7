package detail

import (
	"context"
	"slices"

	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasonclass"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/history/internal/lookup"
	"github.com/outbound-events/outbound/services/history/internal/protofield"
)

// Delivery returns a delivery with all its records and the request of its last attempt. One that waits has no record: its request
// is shown as it would be.
func (s *Reader) Delivery(ctx context.Context, req *outboundv1.GetDeliveryRequest) (*outboundv1.DeliveryDetail, error) {
	appliance, id, err := named(req)
	if err != nil {
		return nil, err
	}
	if err := lookup.AwaitConfig(ctx, s.Config); err != nil {
		return nil, err
	}
	records, err := s.records(ctx, req.GetRecipientId(), appliance, lookup.AttemptID(id, req.GetReplayId()))
	if err != nil {
		return nil, err
	}
	if len(records) == 0 {
		return s.waitingDetail(ctx, req)
	}
	last := records[len(records)-1]
	out := &outboundv1.DeliveryDetail{Delivery: s.Search.Delivery(last), Addresses: s.addresses(req.GetRecipientId(), records)}
	for _, r := range records {
		out.Attempts = append(out.Attempts, attemptOf(r))
	}
	e, err := s.Events.StoredEvent(ctx, last.Record.Sequence, req.GetEventId())
	if err != nil {
		return nil, err
	}
	if e != nil {
		out.CloudEventJson = protofield.Text(string(e.Raw))
	}
	return out, s.showRequest(ctx, out, e, lastSent(records))
}

// asked is a request that names a delivery.
type asked interface {
	GetRecipientId() string
	GetEventId() string
	GetReplayId() string
}

// named is the appliance and the event id of the delivery that a request names.
func named(req asked) (appliance, id string, err error) {
	appliance, id, isKey := event.SplitKey(req.GetEventId())
	var faults []rpc.Violation
	if !lookup.ValidID(req.GetRecipientId(), "") {
		faults = append(faults, lookup.InvalidID("recipientId"))
	}
	if !isKey || !lookup.ValidKey(appliance, id) {
		faults = append(faults, lookup.InvalidKey("eventId"))
	}
	if !lookup.ValidID(req.GetReplayId(), "") {
		faults = append(faults, lookup.InvalidID("replayId"))
	}
	if len(faults) > 0 {
		err = rpc.InvalidArgument(faults...)
	}
	return appliance, id, err
}

// Sequences names the records of a delivery where they stand in the log: that of the event's acceptance, and those of the delivery.
func (s *Reader) Sequences(ctx context.Context, req *outboundv1.ProveDeliveryRequest) ([]uint64, error) {
	appliance, id, err := named(req)
	if err != nil {
		return nil, err
	}
	records, err := s.records(ctx, req.GetRecipientId(), appliance, lookup.AttemptID(id, req.GetReplayId()))
	if err != nil {
		return nil, err
	}
	if len(records) == 0 {
		return nil, rpc.NotFoundSaying("delivery", delivery.Key(req.GetRecipientId(), req.GetEventId(), req.GetReplayId()),
			"the delivery log has no record of it")
	}
	var out []uint64
	accepted, err := deliverylog.NewRecords(s.Bus).AcceptanceSequence(ctx, appliance, id)
	if err != nil {
		return nil, err
	}
	if accepted > 0 {
		out = append(out, accepted)
	}
	for _, r := range records {
		out = append(out, r.Sequence)
	}
	slices.Sort(out)
	return out, nil
}

// records returns all records of one delivery, oldest first. The newest one has what the subjects of the others consist of.
func (s *Reader) records(ctx context.Context, recipient, appliance, logged string) ([]deliverylog.StoredRecord, error) {
	found, err := s.Log.Attempts(ctx, deliverylog.AttemptFilter{Recipient: recipient, Appliance: appliance, EventID: logged}, 0, 1)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return s.Log.AttemptsOf(ctx, found[0].Record)
}

// lastSent returns the last record of an attempt; nil if nothing was sent.
func lastSent(records []deliverylog.StoredRecord) *deliverylog.StoredRecord {
	for i := len(records) - 1; i >= 0; i-- {
		if r := &records[i]; r.Actor == "" && r.LastAttempt != nil && r.Attempt > 0 || r.TookMicros > 0 {
			return r
		}
	}
	return nil
}

// attemptOf converts a record. A record that is not of an attempt has no number and no begin time.
func attemptOf(r deliverylog.StoredRecord) *outboundv1.Attempt {
	a := &outboundv1.Attempt{
		State:  outboundv1.DeliveryState_State(outboundv1.DeliveryState_State_value[string(r.State)]),
		Reason: string(r.Reason), ReasonClass: string(reasonclass.Of(r.Reason, r.Status)), Detail: protofield.Text(r.Detail),
		RecordTime: protofield.Timestamp(r.Time), StatusCode: int32(min(r.Status, 1<<30)), ResponseExcerpt: protofield.Text(string(r.Excerpt)),
		NextAttemptTime: protofield.OptionalTimestamp(r.NextAttempt), ExpireTime: protofield.Timestamp(r.Expire),
		RecipientRevision: r.Revision, Actor: r.Actor,
	}
	if lookup.Attempted(r.Record) && !r.Reason.OperatorChange() && r.LastAttempt != nil {
		a.Number, a.BeginTime, a.TookMs = int32(min(r.Attempt, 1<<30)), protofield.OptionalTimestamp(r.LastAttempt), float64(r.TookMicros)/1000
	}
	return a
}

// waitingDetail describes a delivery that has not been tried.
func (s *Reader) waitingDetail(ctx context.Context, req *outboundv1.GetDeliveryRequest) (*outboundv1.DeliveryDetail, error) {
	missing := rpc.NotFound("delivery", delivery.Key(req.GetRecipientId(), req.GetEventId(), req.GetReplayId()))
	if req.GetReplayId() != "" {
		return nil, missing
	}
	found, err := s.Search.WaitingOf(ctx, &outboundv1.ListDeliveriesRequest{RecipientId: req.GetRecipientId(), EventId: req.GetEventId()}, 1)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, missing
	}
	out := &outboundv1.DeliveryDetail{Delivery: found[0], Addresses: s.addresses(req.GetRecipientId(), nil)}
	appliance, id, _ := event.SplitKey(req.GetEventId())
	rec, _, err := s.Log.Intake(ctx, appliance, id)
	if err != nil {
		return nil, err
	}
	e, err := s.Events.StoredEvent(ctx, rec.Sequence, req.GetEventId())
	if err != nil || e == nil {
		return out, err
	}
	out.CloudEventJson = protofield.Text(string(e.Raw))
	s.showWaiting(out, e)
	return out, nil
}
