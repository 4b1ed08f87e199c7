package history

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// SendNow makes the next attempt of deliveries that wait for one due now.
func (d *deliveries) SendNow(ctx context.Context, req *outboundv1.SendNowRequest) (*outboundv1.ChangeDeliveriesResponse, error) {
	return d.change(ctx, req.GetDeliveries(), sendNow)
}

// ExtendDeliveries gives deliveries longer to be tried.
func (d *deliveries) ExtendDeliveries(ctx context.Context, req *outboundv1.ExtendDeliveriesRequest) (*outboundv1.ChangeDeliveriesResponse, error) {
	return d.change(ctx, req.GetDeliveries(), func(r *recipient.Recipient, rec delivery.Record, now time.Time) (delivery.Record, settlement, string) {
		return extend(r, rec, now, req.GetBy().AsDuration())
	})
}

// CancelDeliveries ends deliveries.
func (d *deliveries) CancelDeliveries(ctx context.Context, req *outboundv1.CancelDeliveriesRequest) (*outboundv1.ChangeDeliveriesResponse, error) {
	return d.change(ctx, req.GetDeliveries(), cancelled)
}

// settlement is what the broker is told of a delivery's message once its change is recorded.
type settlement int

// The fates.
const (
	// stays has it come when it would.
	stays settlement = iota + 1
	// comesNow has it handed out at once.
	comesNow
	// ends has it handed out no more.
	ends
	// expedites leaves it, and has a recipient that fails all the time be tried at once.
	expedites
)

// changeFunc says what a record becomes that is a delivery's newest, and not final; or, as a sentence, why nothing is changed.
type changeFunc func(r *recipient.Recipient, rec delivery.Record, now time.Time) (delivery.Record, settlement, string)

// sendNow leaves alone what may be in a sender's hands: a second message of it would be a second attempt.
func sendNow(r *recipient.Recipient, rec delivery.Record, now time.Time) (delivery.Record, settlement, string) {
	switch {
	case !r.Enabled && (rec.ReplayID == "" || r.WhileDisabled == recipient.Hold):
		return rec, 0, "the recipient is disabled: enable it first"
	case !far(rec, now):
		return rec, expedites, "the next attempt is already due and will be made shortly"
	}
	rec.Reason, rec.Detail, rec.NextAttempt = delivery.ReasonSendNow, "next attempt requested now", &now
	return rec, comesNow, ""
}

// leavesEarly is how long before EVENTS drops a message its delivery ends at the latest.
const leavesEarly = time.Hour

func extend(_ *recipient.Recipient, rec delivery.Record, now time.Time, by time.Duration) (delivery.Record, settlement, string) {
	end := now.Add(by)
	if last := rec.Accepted.Add(bus.EventsKept - leavesEarly); end.After(last) {
		end = last
	}
	if !end.After(rec.Expire) {
		return rec, 0, fmt.Sprintf("it already expires at %s, which is not before the requested time or the end of retention", rec.Expire.UTC().Format(time.RFC3339))
	}
	rec.Reason, rec.Detail = delivery.ReasonExtended, "expires at "+end.UTC().Format(time.RFC3339)
	rec.Expire, rec.Extended = end, &end
	return rec, stays, ""
}

// cancelled ends a delivery that waits for its time. One that may be in a sender's hands is marked, and the sender ends it: else
// it could be delivered and recorded as cancelled.
func cancelled(_ *recipient.Recipient, rec delivery.Record, now time.Time) (delivery.Record, settlement, string) {
	if rec.CancelAsked {
		return rec, 0, "cancellation is already requested"
	}
	rec.Reason, rec.Detail = delivery.ReasonCancelled, "cancelled by an operator"
	if !far(rec, now) {
		rec.CancelAsked = true
		return rec, stays, ""
	}
	rec.State, rec.NextAttempt = delivery.StateCancelled, nil
	return rec, ends, ""
}

// far reports whether a delivery's next attempt is so far away that its message is in no sender's hands.
func far(rec delivery.Record, now time.Time) bool {
	return rec.NextAttempt != nil && rec.NextAttempt.After(now.Add(bus.Settled))
}

// changesAtOnce is how many deliveries are changed at once.
const changesAtOnce = 32

// change records what is done to each delivery, each once, and then tells the broker.
func (d *deliveries) change(ctx context.Context, targets []*outboundv1.RetryDeliveriesRequest_Target, judge changeFunc) (*outboundv1.ChangeDeliveriesResponse, error) {
	if err := d.s.configured(ctx); err != nil {
		return nil, err
	}
	each, err := unique(targets)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	resp := &outboundv1.ChangeDeliveriesResponse{}
	told := pendingSettlements{}
	g, changing := errgroup.WithContext(ctx)
	g.SetLimit(changesAtOnce)
	for _, t := range each {
		g.Go(func() error {
			rec, f, why, err := d.changeOne(changing, t, rpc.Actor(ctx), judge)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			if f == expedites {
				told.note(t.recipient, f, rec.Sequence)
			}
			if why != "" {
				resp.Unchanged = append(resp.Unchanged, &outboundv1.ChangeDeliveriesResponse_Unchanged{
					RecipientId: t.recipient, EventId: t.key, ReplayId: t.replay, Detail: why,
				})
				return nil
			}
			resp.Changed++
			told.note(t.recipient, f, rec.Sequence)
			return nil
		})
	}
	err = g.Wait()
	// What is recorded is told even if a later one failed.
	finish, cancel := d.s.Bus.WithoutCancel(ctx)
	defer cancel()
	if untold := d.s.settle(finish, told); err == nil {
		err = untold
	}
	if err != nil {
		return nil, rpc.Unavailable(fmt.Sprintf("%d deliveries were changed before an error: %v", resp.GetChanged(), err))
	}
	return resp, nil
}

// target names a delivery.
type target struct{ recipient, key, replay string }

// unique are the targets, each once. Their parts are parts of subjects, so they must be written like ids.
func unique(targets []*outboundv1.RetryDeliveriesRequest_Target) ([]target, error) {
	known := map[target]bool{}
	var out []target
	var faults []rpc.Violation
	for i, t := range targets {
		at := fmt.Sprintf("deliveries[%d].", i)
		to := target{t.GetRecipientId(), t.GetEventId(), t.GetReplayId()}
		appliance, id, ok := event.SplitKey(to.key)
		switch {
		case !safe(to.recipient, ""):
			faults = append(faults, unsafe(at+"recipientId"))
		case !ok || !safe(appliance+id, ""):
			faults = append(faults, rpc.Violation{Field: at + "eventId", Reason: event.ReasonUnsafe, Description: "is not an event key: use <appliance>~<event id>"})
		case !safe(to.replay, ""):
			faults = append(faults, unsafe(at+"replayId"))
		case !known[to]:
			known[to] = true
			out = append(out, to)
		}
	}
	if len(faults) > 0 {
		return nil, rpc.InvalidArgument(faults...)
	}
	return out, nil
}

// changeOne records what is done to one delivery. A record that comes in between is judged anew.
func (d *deliveries) changeOne(ctx context.Context, t target, actor string, judge changeFunc) (rec delivery.Record, f settlement, why string, err error) {
	r, ok := d.s.Config.Recipient(t.recipient)
	if !ok || r.Deleting {
		return rec, 0, "the recipient does not exist", nil
	}
	appliance, id, _ := event.SplitKey(t.key)
	for {
		found, err := d.s.Log.Attempts(ctx, bus.AttemptFilter{Recipient: t.recipient, Appliance: appliance, EventID: filed(id, t.replay)}, 0, 1)
		if err != nil {
			return rec, 0, "", err
		}
		if len(found) == 0 {
			why, err := d.untried(ctx, t, appliance, id)
			return rec, 0, why, err
		}
		if s := found[0].State; s.Final() {
			return rec, 0, fmt.Sprintf("it is already final (%s): retry it to send it again", s), nil
		}
		rec, f, why = judge(r, found[0].Record, time.Now())
		if why != "" {
			return rec, f, why, nil
		}
		rec.Actor, rec.Status, rec.TookMicros, rec.Excerpt, rec.Carried = actor, 0, 0, nil, nil
		if err := d.s.Log.AppendChange(ctx, rec, found[0].Sequence); !errors.Is(err, bus.ErrConflict) {
			return rec, f, "", err
		}
	}
}

// filed is a delivery's event id as the log files it: a replay's has the replay's id behind a tilde.
func filed(eventID, replayID string) string {
	if replayID == "" {
		return eventID
	}
	return eventID + "~" + replayID
}

// untried says why a delivery without a record can't be changed.
func (d *deliveries) untried(ctx context.Context, t target, appliance, id string) (string, error) {
	sequence, err := d.s.sequenceOf(ctx, appliance, id)
	switch {
	case err != nil:
		return "", err
	case sequence == 0:
		return "the event does not exist", nil
	case t.replay != "":
		return "this replay has no attempt yet, or does not exist", nil
	default:
		return "it has no attempt yet, or is not routed to this recipient: wait for the first attempt, or purge the recipient's queue", nil
	}
}

// pendingSettlements are the messages of each recipient that the broker is to be told something of.
type pendingSettlements map[string]map[settlement][]uint64

func (t pendingSettlements) note(recipient string, f settlement, sequence uint64) {
	if t[recipient] == nil {
		t[recipient] = map[settlement][]uint64{}
	}
	t[recipient][f] = append(t[recipient][f], sequence)
}

// tell has the broker act on changes that are recorded. What it does not hear of acts when its time comes.
func (s *Service) settle(ctx context.Context, t pendingSettlements) error {
	var faults []error
	for id, of := range t {
		r, ok := s.Config.Recipient(id)
		if !ok {
			continue
		}
		now := of[comesNow]
		if len(now) > 0 {
			faults = append(faults, s.Bus.RedeliverNow(ctx, r.Channel(), id, now))
		}
		// A recipient that fails all the time is sent these though, and nothing else.
		if asked := slices.Concat(now, of[expedites]); len(asked) > 0 {
			faults = append(faults, s.Bus.Expedite(r.Channel(), id, asked))
		}
		if over := of[ends]; len(over) > 0 {
			faults = append(faults, s.Bus.AckBySequence(ctx, r.Channel(), id, over))
		}
	}
	return errors.Join(faults...)
}
