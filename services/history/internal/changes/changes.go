// Package changes changes single deliveries for an operator: it sends them now or again, extends and cancels them.
package changes

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/configclient"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/history/internal/lookup"
)

// Deps are what a changer needs, all required.
type Deps struct {
	Bus       *bus.Conn
	Log       *bus.History
	Publisher *bus.Publisher
	Config    *configclient.Client
	Events    *lookup.Finder
}

// Changer changes single deliveries: it records each change, and then has the broker act on it.
type Changer struct{ Deps }

// New makes a changer.
func New(deps Deps) *Changer { return &Changer{deps} }

// SendNow makes the next attempt of deliveries that wait for one due now.
func (c *Changer) SendNow(ctx context.Context, req *outboundv1.SendNowRequest) (*outboundv1.ChangeDeliveriesResponse, error) {
	return c.change(ctx, req.GetDeliveries(), sendNow)
}

// Extend gives deliveries longer to be tried.
func (c *Changer) Extend(ctx context.Context, req *outboundv1.ExtendDeliveriesRequest) (*outboundv1.ChangeDeliveriesResponse, error) {
	by := req.GetBy().AsDuration()
	return c.change(ctx, req.GetDeliveries(), func(_ *recipient.Recipient, rec delivery.Record, now time.Time) (delivery.Record, settlement, string) {
		return extend(rec, now, by)
	})
}

// Cancel ends deliveries.
func (c *Changer) Cancel(ctx context.Context, req *outboundv1.CancelDeliveriesRequest) (*outboundv1.ChangeDeliveriesResponse, error) {
	return c.change(ctx, req.GetDeliveries(), cancelled)
}

// settlement is what the broker does with a delivery's message once its change is recorded.
type settlement int

// The settlements.
const (
	// stays leaves the message as it is.
	stays settlement = iota + 1
	// comesNow redelivers the message at once.
	comesNow
	// ends acknowledges the message.
	ends
	// expedites leaves the message, and makes the sender try it though the recipient's breaker is open.
	expedites
)

// changeFunc changes the newest record of a delivery, which is not final; or it returns, as a sentence, why it changes nothing.
type changeFunc func(r *recipient.Recipient, rec delivery.Record, now time.Time) (delivery.Record, settlement, string)

// sendNow leaves alone what a sender may have taken: redelivering that would be a second attempt.
func sendNow(r *recipient.Recipient, rec delivery.Record, now time.Time) (delivery.Record, settlement, string) {
	switch {
	case !r.Enabled && (rec.ReplayID == "" || r.WhileDisabled == recipient.Hold):
		return rec, 0, "the recipient is disabled: enable it first"
	case !far(rec, now):
		return rec, expedites, "its next attempt is due already: it is made as soon as the recipient's turn comes"
	}
	rec.Reason, rec.Detail, rec.NextAttempt = delivery.ReasonSendNow, "the next attempt was asked for at once", &now
	return rec, comesNow, ""
}

// leavesEarly is how long before EVENTS drops a message its delivery ends at the latest.
const leavesEarly = time.Hour

// extend lengthens a delivery, as far as its event is stored.
func extend(rec delivery.Record, now time.Time, by time.Duration) (delivery.Record, settlement, string) {
	end := now.Add(by)
	if last := rec.Accepted.Add(bus.EventsKept - leavesEarly); end.After(last) {
		end = last
	}
	if !end.After(rec.Expire) {
		return rec, 0, fmt.Sprintf("it is tried until %s already, which is not before the end asked for or the end of what is stored", rec.Expire.UTC().Format(time.RFC3339))
	}
	rec.Reason, rec.Detail = delivery.ReasonExtended, "it is tried until "+end.UTC().Format(time.RFC3339)
	rec.Expire, rec.Extended = end, &end
	return rec, stays, ""
}

// cancelled ends a delivery that waits for its next attempt. One that a sender may have taken is marked, and the sender ends it: else
// it could be delivered and recorded as cancelled.
func cancelled(_ *recipient.Recipient, rec delivery.Record, now time.Time) (delivery.Record, settlement, string) {
	if rec.CancelAsked {
		return rec, 0, "it is cancelled already: it ends when its turn comes"
	}
	rec.Reason, rec.Detail = delivery.ReasonCancelled, "cancelled by hand"
	if !far(rec, now) {
		rec.CancelAsked = true
		return rec, stays, ""
	}
	rec.State, rec.NextAttempt = delivery.StateCancelled, nil
	return rec, ends, ""
}

// far reports whether a delivery's next attempt is so far away that no sender has taken its message.
func far(rec delivery.Record, now time.Time) bool {
	return rec.NextAttempt != nil && rec.NextAttempt.After(now.Add(bus.Settled))
}

// changesAtOnce is how many deliveries are changed at once.
const changesAtOnce = 32

// change records what is done to each delivery, each once, and then settles their messages.
func (c *Changer) change(
	ctx context.Context, targets []*outboundv1.RetryDeliveriesRequest_Target, judge changeFunc,
) (*outboundv1.ChangeDeliveriesResponse, error) {
	if err := lookup.AwaitConfig(ctx, c.Config); err != nil {
		return nil, err
	}
	each, err := unique(targets)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	resp := &outboundv1.ChangeDeliveriesResponse{}
	pending := pendingSettlements{}
	g, changing := errgroup.WithContext(ctx)
	g.SetLimit(changesAtOnce)
	for _, t := range each {
		g.Go(func() error {
			rec, f, why, err := c.changeOne(changing, t, rpc.Actor(ctx), judge)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			if f == expedites {
				pending.note(t.recipient, f, rec.Sequence)
			}
			if why != "" {
				resp.Unchanged = append(resp.Unchanged, &outboundv1.ChangeDeliveriesResponse_Unchanged{
					RecipientId: t.recipient, EventId: t.key, ReplayId: t.replay, Detail: why,
				})
				return nil
			}
			resp.Changed++
			pending.note(t.recipient, f, rec.Sequence)
			return nil
		})
	}
	err = g.Wait()
	// What is recorded is settled even if a later one failed.
	finish, cancel := c.Bus.WithoutCancel(ctx)
	defer cancel()
	if unsettled := c.settle(finish, pending); err == nil {
		err = unsettled
	}
	if err != nil {
		return nil, rpc.Unavailable(fmt.Sprintf("%d deliveries were changed, then: %v", resp.GetChanged(), err))
	}
	return resp, nil
}

// target names a delivery.
type target struct{ recipient, key, replay string }

// unique returns the targets, each once. Their parts become parts of subjects, so they must be valid ids.
func unique(targets []*outboundv1.RetryDeliveriesRequest_Target) ([]target, error) {
	known := map[target]bool{}
	var out []target
	var faults []rpc.Violation
	for i, t := range targets {
		at := fmt.Sprintf("deliveries[%d].", i)
		to := target{t.GetRecipientId(), t.GetEventId(), t.GetReplayId()}
		appliance, id, ok := event.SplitKey(to.key)
		switch {
		case !lookup.ValidID(to.recipient, ""):
			faults = append(faults, lookup.InvalidID(at+"recipientId"))
		case !ok || !lookup.ValidID(appliance+id, ""):
			faults = append(faults, lookup.InvalidKey(at+"eventId"))
		case !lookup.ValidID(to.replay, ""):
			faults = append(faults, lookup.InvalidID(at+"replayId"))
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

// changeOne records the change of one delivery. If another record comes in between, that one is changed instead.
func (c *Changer) changeOne(
	ctx context.Context, t target, actor string, judge changeFunc,
) (rec delivery.Record, f settlement, why string, err error) {
	r, ok := c.Config.Recipient(t.recipient)
	if !ok || r.Deleting {
		return rec, 0, "there is no such recipient", nil
	}
	appliance, id, _ := event.SplitKey(t.key)
	for {
		found, err := c.Log.Attempts(ctx, bus.AttemptFilter{
			Recipient: t.recipient, Appliance: appliance, EventID: lookup.AttemptID(id, t.replay),
		}, 0, 1)
		if err != nil {
			return rec, 0, "", err
		}
		if len(found) == 0 {
			why, err := c.untried(ctx, t, appliance, id)
			return rec, 0, why, err
		}
		if s := found[0].State; s.Final() {
			return rec, 0, fmt.Sprintf("it has ended already, as %s: send it again if it is to be sent", s), nil
		}
		rec, f, why = judge(r, found[0].Record, time.Now())
		if why != "" {
			return rec, f, why, nil
		}
		rec.Actor, rec.Status, rec.TookMicros, rec.Excerpt, rec.Carried = actor, 0, 0, nil, nil
		if err := c.Log.AppendChange(ctx, rec, found[0].Sequence); !errors.Is(err, bus.ErrConflict) {
			return rec, f, "", err
		}
	}
}

// untried says why a delivery without a record can't be changed.
func (c *Changer) untried(ctx context.Context, t target, appliance, id string) (string, error) {
	sequence, err := c.Events.Sequence(ctx, appliance, id)
	switch {
	case err != nil:
		return "", err
	case sequence == 0:
		return "there is no such event", nil
	case t.replay != "":
		return "this replay has not been tried yet, or is not known", nil
	default:
		return "it has not been tried yet, or was never meant for this recipient: its first attempt is made when its turn comes; a purge cancels all that waits for a recipient", nil
	}
}

// pendingSettlements are the messages of each recipient that are to be settled.
type pendingSettlements map[string]map[settlement][]uint64

func (t pendingSettlements) note(recipient string, f settlement, sequence uint64) {
	if t[recipient] == nil {
		t[recipient] = map[settlement][]uint64{}
	}
	t[recipient][f] = append(t[recipient][f], sequence)
}

// settle has the broker act on changes that are recorded. A message that the broker does not settle is redelivered when its time comes.
func (c *Changer) settle(ctx context.Context, t pendingSettlements) error {
	var faults []error
	for id, of := range t {
		r, ok := c.Config.Recipient(id)
		if !ok {
			continue
		}
		now := of[comesNow]
		if len(now) > 0 {
			faults = append(faults, c.Bus.RedeliverNow(ctx, r.Channel(), id, now))
		}
		// An open breaker lets these through, and nothing else.
		if asked := slices.Concat(now, of[expedites]); len(asked) > 0 {
			faults = append(faults, c.Bus.Expedite(r.Channel(), id, asked))
		}
		if ended := of[ends]; len(ended) > 0 {
			faults = append(faults, c.Bus.AckBySequence(ctx, r.Channel(), id, ended))
		}
	}
	return errors.Join(faults...)
}
