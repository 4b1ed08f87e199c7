package replay

import (
	"context"
	"errors"
	"time"

	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/bus/eventlog"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasonclass"
	"github.com/outbound-events/outbound/pkg/event"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// item is one delivery that a replay is about.
type item struct {
	// to is the recipient's id; gone says that there is no such recipient any more.
	to   string
	gone bool
	// event is complete only if read is set; else it has only ids, and the event is at sequence in EVENTS.
	event    *event.Event
	read     bool
	sequence uint64
	accepted time.Time
	// had says that the recipient had it by the very delivery that is replayed.
	had bool
}

// id identifies an item of a replay: an event goes to a recipient once.
func (i *item) id() string { return i.to + "/" + i.event.Key() }

// source finds the items of a replay from a sequence on: at most limit, and fewer if some that it read do not belong to the replay.
// next is where to go on; 0: there are no more.
type source interface {
	find(ctx context.Context, from uint64, limit int) (items []item, next uint64, err error)
}

// errNoRecipient means that a replay can't go on without its recipient.
var errNoRecipient = errors.New("the recipient no longer exists")

// source makes the source of a replay, which ends at a sequence.
func (s *Replayer) source(r *outboundv1.Replay, until uint64) source {
	if b := r.GetBackfill(); b != nil {
		src := &backfill{s: s, to: r.GetToRecipientId(), until: until, again: b.GetIncludeDelivered(), delivered: newDeliveredSet(s)}
		if b.GetEndTime() != nil {
			src.end = b.GetEndTime().AsTime()
		}
		return src
	}
	d := r.GetDeliveries()
	return &ended{s: s, to: r.GetToRecipientId(), until: until, states: finalStates(d.GetState()), of: d, filter: deliverylog.AttemptFilter{
		Recipient: d.GetRecipientId(), Type: d.GetEventType(), Session: d.GetSessionId(),
		ExternalKey: d.GetExternalKey(), Appliance: d.GetApplianceId(),
	}}
}

// finalStates are the states that are replayed.
func finalStates(s outboundv1.DeliveryState_State) []delivery.State {
	if s == outboundv1.DeliveryState_DELIVERY_STATE_UNSPECIFIED {
		return []delivery.State{delivery.StateExpired, delivery.StateRejected, delivery.StateCancelled}
	}
	return []delivery.State{delivery.State(s.String())}
}

// ended are deliveries by their final records, oldest first.
type ended struct {
	s      *Replayer
	to     string
	until  uint64
	states []delivery.State
	of     *outboundv1.Replay_Deliveries
	filter deliverylog.AttemptFilter
}

func (x *ended) find(ctx context.Context, from uint64, limit int) ([]item, uint64, error) {
	if from > x.until {
		return nil, 0, nil
	}
	records, err := x.s.Log.AttemptsFrom(ctx, x.filter, x.states, from, x.until, limit)
	if err != nil || len(records) == 0 {
		return nil, 0, err
	}
	var out []item
	for _, r := range records {
		if !x.meant(r) {
			continue
		}
		i := item{
			to: x.to, sequence: r.Record.Sequence, accepted: r.Accepted, had: x.to == "" && r.State == delivery.StateDelivered,
			event: &event.Event{ID: r.EventID, Appliance: r.Appliance, Type: r.Type, Session: r.Session, ExternalKey: r.ExternalKey},
		}
		if i.to == "" {
			i.to = r.Recipient
		}
		i.gone = !x.s.alive(i.to)
		out = append(out, i)
	}
	return out, records[len(records)-1].Sequence + 1, nil
}

// meant reports whether a record matches what its subject does not contain. Tests are not sent again.
func (x *ended) meant(r deliverylog.StoredRecord) bool {
	same := func(want, have string) bool { return want == "" || want == have }
	return !r.Test && same(x.of.GetReason(), string(r.Reason)) && same(x.of.GetChannel(), r.Channel) &&
		same(x.of.GetReasonClass(), string(reasonclass.Of(r.Reason, r.Status)))
}

// alive reports whether a recipient exists and is not being deleted.
func (s *Replayer) alive(id string) bool {
	r, ok := s.Config.Recipient(id)
	return ok && !r.Deleting
}

// found is alive for a caller who may have created the recipient a moment ago.
func (s *Replayer) found(ctx context.Context, id string) bool {
	r, ok := s.Config.Find(ctx, id)
	return ok && !r.Deleting
}

// backfill are stored events that a recipient selects as it is now, oldest first.
type backfill struct {
	s         *Replayer
	to        string
	until     uint64
	end       time.Time
	again     bool
	delivered *deliveredSet
}

func (x *backfill) find(ctx context.Context, from uint64, limit int) ([]item, uint64, error) {
	r, ok := x.s.Config.Recipient(x.to)
	if !ok || r.Deleting {
		return nil, 0, errNoRecipient
	}
	only := ""
	if len(r.EventTypes) == 1 {
		only = r.EventTypes[0]
	}
	events, next, err := eventlog.New(x.s.Bus).EventsFrom(ctx, only, from, limit)
	if err != nil {
		return nil, 0, err
	}
	var out []item
	for _, e := range events {
		if e.Sequence > x.until || !x.end.IsZero() && !e.Time.Before(x.end) {
			return out, 0, nil
		}
		if delivery.Unselected(r, e.Event) != nil {
			continue
		}
		if passes, err := x.s.Filters.Matches(r, e.Event); err != nil || !passes {
			continue
		}
		if !x.again {
			has, err := x.delivered.has(ctx, r, e.Event, e.Sequence)
			if err != nil {
				return nil, 0, err
			}
			if has {
				continue
			}
		}
		out = append(out, item{to: x.to, event: e.Event, read: true, sequence: e.Sequence, accepted: e.Time})
	}
	return out, next, nil
}
