package history

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/recipient"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// item is one delivery that a replay is about.
type item struct {
	// to is the recipient's id; gone says that the recipient no longer exists.
	to   string
	gone bool
	// event is its whole text only if read is set; else its ids alone, and the text stands at sequence in EVENTS.
	event    *event.Event
	read     bool
	sequence uint64
	accepted time.Time
	// had says that the recipient had it by the very delivery that is replayed.
	had bool
}

// id tells items of a replay from each other: an event goes to a recipient once.
func (i *item) id() string { return i.to + "/" + i.event.Key() }

// source finds what a replay is about, from a place on: at most limit, and fewer if some that were looked at do not belong to
// it. next is where to go on; 0: there is no more.
type source interface {
	find(ctx context.Context, from uint64, limit int) (items []item, next uint64, err error)
}

// errNoRecipient says that a replay can't go on, for want of its recipient.
var errNoRecipient = errors.New("the recipient no longer exists")

// source makes the source of a replay, which ends at a sequence.
func (s *Service) source(r *outboundv1.Replay, until uint64) source {
	if b := r.GetBackfill(); b != nil {
		src := &backfill{s: s, to: r.GetToRecipientId(), until: until, again: b.GetIncludeDelivered(), delivered: newDeliveredSet(s)}
		if b.GetEndTime() != nil {
			src.end = b.GetEndTime().AsTime()
		}
		return src
	}
	d := r.GetDeliveries()
	return &ended{s: s, to: r.GetToRecipientId(), until: until, states: finalStates(d.GetState()), of: d, filter: bus.AttemptFilter{
		Recipient: d.GetRecipientId(), Type: d.GetEventType(), Session: d.GetSessionId(), ExternalKey: d.GetExternalKey(), Appliance: d.GetApplianceId(),
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
	s      *Service
	to     string
	until  uint64
	states []delivery.State
	of     *outboundv1.Replay_Deliveries
	filter bus.AttemptFilter
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

// meant reports whether a record fits what its subject does not tell. Tests are not sent again.
func (x *ended) meant(r bus.StoredRecord) bool {
	same := func(want, have string) bool { return want == "" || want == have }
	return !r.Test && same(x.of.GetReason(), string(r.Reason)) && same(x.of.GetChannel(), r.Channel) &&
		same(x.of.GetReasonClass(), string(delivery.ClassOf(r.Reason, r.Status)))
}

// alive reports whether a recipient can be sent anything.
func (s *Service) alive(id string) bool {
	r, ok := s.Config.Recipient(id)
	return ok && !r.Deleting
}

// found is alive for callers who may have made the recipient a moment ago.
func (s *Service) found(ctx context.Context, id string) bool {
	r, ok := s.Config.Find(ctx, id)
	return ok && !r.Deleting
}

// backfill are stored events that a recipient selects as it is now, oldest first.
type backfill struct {
	s         *Service
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
	events, next, err := x.s.Bus.EventsFrom(ctx, only, from, limit)
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
		if passes, err := x.s.filters.Matches(r, e.Event); err != nil || !passes {
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

// deliveredSet knows what recipients have had, or have coming. It reads the replays to a recipient once.
type deliveredSet struct {
	s *Service

	mu      sync.Mutex
	replays map[string]map[string][]string // recipient → event key → replay ids
	queues  map[string]bus.Backlog
}

func newDeliveredSet(s *Service) *deliveredSet {
	return &deliveredSet{s: s, replays: map[string]map[string][]string{}, queues: map[string]bus.Backlog{}}
}

// delivered reports whether a recipient has had an event.
func (p *deliveredSet) delivered(ctx context.Context, to string, e *event.Event) (bool, error) {
	had, _, err := p.look(ctx, to, e, func(rec delivery.Record, ok bool) bool { return ok && rec.State == delivery.StateDelivered })
	return had, err
}

// has reports whether a recipient has had an event, stored at a sequence, or will be sent it anyhow.
func (p *deliveredSet) has(ctx context.Context, r *recipient.Recipient, e *event.Event, sequence uint64) (bool, error) {
	has, untried, err := p.look(ctx, r.ID, e, func(rec delivery.Record, ok bool) bool {
		return ok && (rec.State == delivery.StateDelivered || !rec.State.Final())
	})
	if err != nil || has || !untried || sequence < r.StartSequence {
		return has, err
	}
	q, err := p.queue(ctx, r)
	// What has not been given out yet will be. Of what was, and has no record, nothing is sure: it may have gone past.
	return q.Waiting > 0 && sequence > q.Given, err
}

// look asks about each delivery of an event to a recipient until the answer is yes; untried says that the first one has no record.
func (p *deliveredSet) look(ctx context.Context, to string, e *event.Event, ask func(rec delivery.Record, ok bool) bool) (yes, untried bool, err error) {
	again, err := p.replaysOf(ctx, to)
	if err != nil {
		return false, false, err
	}
	for i, replayID := range append([]string{""}, again[e.Key()]...) {
		rec, at, err := p.s.Log.Latest(ctx, to, e, replayID)
		if err != nil {
			return false, false, fmt.Errorf("look up %s at %s: %w", e.Key(), to, err)
		}
		ok := at != 0
		if ask(rec, ok) || i > 0 && !ok && ask(delivery.Record{State: delivery.StateWaiting}, true) {
			return true, untried, nil
		}
		untried = untried || i == 0 && !ok
	}
	return false, untried, nil
}

func (p *deliveredSet) replaysOf(ctx context.Context, to string) (map[string][]string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if known, ok := p.replays[to]; ok {
		return known, nil
	}
	all := map[string][]string{}
	if err := p.s.Bus.ReplaysTo(ctx, to, func(key, id string) { all[key] = append(all[key], id) }); err != nil {
		return nil, err
	}
	p.replays[to] = all
	return all, nil
}

func (p *deliveredSet) queue(ctx context.Context, r *recipient.Recipient) (bus.Backlog, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if q, ok := p.queues[r.ID]; ok {
		return q, nil
	}
	q, err := p.s.Bus.Backlog(ctx, r.Channel(), r.ID)
	if err != nil && !errors.Is(err, bus.ErrNotFound) {
		return q, err
	}
	p.queues[r.ID] = q
	return q, nil
}
