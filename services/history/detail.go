package history

import (
	"context"
	"errors"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// GetDelivery gets a delivery with all its records and the request of its last attempt. One that waits has no record: its request
// is shown as it would be.
func (d *deliveries) GetDelivery(ctx context.Context, req *outboundv1.GetDeliveryRequest) (*outboundv1.DeliveryDetail, error) {
	appliance, id, isKey := event.SplitKey(req.GetEventId())
	var faults []rpc.Violation
	if !safe(req.GetRecipientId(), "") {
		faults = append(faults, unsafe("recipientId"))
	}
	if !isKey || !safe(appliance+id, "") {
		faults = append(faults, rpc.Violation{Field: "eventId", Reason: event.ReasonUnsafe, Description: "is not an event key: use <appliance>~<event id>"})
	}
	if !safe(req.GetReplayId(), "") {
		faults = append(faults, unsafe("replayId"))
	}
	if len(faults) > 0 {
		return nil, rpc.InvalidArgument(faults...)
	}
	if err := d.s.configured(ctx); err != nil {
		return nil, err
	}
	records, err := d.records(ctx, req.GetRecipientId(), appliance, logID(id, req.GetReplayId()))
	if err != nil {
		return nil, err
	}
	if len(records) == 0 {
		return d.waitingDetail(ctx, req)
	}
	last := records[len(records)-1]
	out := &outboundv1.DeliveryDetail{Delivery: d.s.deliveryOf(last), Addresses: d.s.addresses(req.GetRecipientId(), records)}
	for _, r := range records {
		out.Attempts = append(out.Attempts, attemptOf(r))
	}
	e, err := d.s.stillStored(ctx, last.Record.Sequence, req.GetEventId())
	if err != nil {
		return nil, err
	}
	if e != nil {
		out.CloudEventJson = toValid(string(e.Raw))
	}
	return out, d.s.showRequest(ctx, out, e, lastSent(records))
}

// records are all of one delivery, oldest first. What is newest tells the subjects of the others.
func (d *deliveries) records(ctx context.Context, recipient, appliance, logged string) ([]bus.StoredRecord, error) {
	found, err := d.s.Log.Attempts(ctx, bus.AttemptFilter{Recipient: recipient, Appliance: appliance, EventID: logged}, 0, 1)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return d.s.Log.AttemptsOf(ctx, found[0].Record)
}

// lastSent is the last record of an attempt; nil if nothing was sent.
func lastSent(records []bus.StoredRecord) *bus.StoredRecord {
	for i := len(records) - 1; i >= 0; i-- {
		if r := &records[i]; r.Actor == "" && r.LastAttempt != nil && r.Attempt > 0 || r.TookMicros > 0 {
			return r
		}
	}
	return nil
}

// attemptOf writes a record as an attempt. One without an attempt of its own has no number and no beginning.
func attemptOf(r bus.StoredRecord) *outboundv1.Attempt {
	a := &outboundv1.Attempt{
		State:  outboundv1.DeliveryState_State(outboundv1.DeliveryState_State_value[string(r.State)]),
		Reason: string(r.Reason), ReasonClass: string(delivery.ClassOf(r.Reason, r.Status)), Detail: toValid(r.Detail), RecordTime: timestamp(r.Time),
		StatusCode: int32(min(r.Status, 1<<30)), ResponseExcerpt: text(r.Excerpt), NextAttemptTime: timeOf(r.NextAttempt), ExpireTime: timestamp(r.Expire),
		RecipientRevision: r.Revision, Actor: r.Actor,
	}
	if tried(r) && !r.Reason.OperatorChange() && r.LastAttempt != nil {
		a.Number, a.BeginTime, a.TookMs = int32(min(r.Attempt, 1<<30)), timeOf(r.LastAttempt), float64(r.TookMicros)/1000
	}
	return a
}

// waitingDetail tells of a delivery that has not been tried.
func (d *deliveries) waitingDetail(ctx context.Context, req *outboundv1.GetDeliveryRequest) (*outboundv1.DeliveryDetail, error) {
	missing := rpc.NotFound("delivery", delivery.Key(req.GetRecipientId(), req.GetEventId(), req.GetReplayId()))
	if req.GetReplayId() != "" {
		return nil, missing
	}
	found, err := d.waitingOf(ctx, &outboundv1.ListDeliveriesRequest{RecipientId: req.GetRecipientId(), EventId: req.GetEventId()}, 1)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, missing
	}
	out := &outboundv1.DeliveryDetail{Delivery: found[0], Addresses: d.s.addresses(req.GetRecipientId(), nil)}
	sequence, err := d.s.sequenceOfKey(ctx, req.GetEventId())
	if err != nil {
		return nil, err
	}
	e, err := d.s.stillStored(ctx, sequence, req.GetEventId())
	if err != nil || e == nil {
		return out, err
	}
	out.CloudEventJson = toValid(string(e.Raw))
	d.s.showWaiting(out, e)
	return out, nil
}

func (s *Service) sequenceOfKey(ctx context.Context, key string) (uint64, error) {
	appliance, id, _ := event.SplitKey(key)
	rec, _, err := s.Log.Intake(ctx, appliance, id)
	return rec.Sequence, err
}

// stillStored reads an event back by its sequence; nil if it is no longer stored.
func (s *Service) stillStored(ctx context.Context, sequence uint64, key string) (*event.Event, error) {
	if sequence == 0 {
		return nil, nil
	}
	e, err := s.Bus.StoredEvent(ctx, sequence)
	if errors.Is(err, bus.ErrNotFound) || err == nil && e.Key() != key {
		return nil, nil
	}
	return e, err
}
