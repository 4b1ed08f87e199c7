// Package changes changes single deliveries for an operator: it sends them now or again, extends and cancels them.
package changes

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
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
	Log       *deliverylog.Log
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
	return c.change(ctx, req.GetDeliveries(),
		func(_ *recipient.Recipient, rec delivery.Record, now time.Time) (delivery.Record, settlement, string) {
			return extend(rec, now, by)
		})
}

// Cancel ends deliveries.
func (c *Changer) Cancel(ctx context.Context, req *outboundv1.CancelDeliveriesRequest) (*outboundv1.ChangeDeliveriesResponse, error) {
	return c.change(ctx, req.GetDeliveries(), cancelled)
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
		return nil, rpc.Unavailable(fmt.Sprintf("%d deliveries were changed before an error: %v", resp.GetChanged(), err))
	}
	return resp, nil
}

// changeOne records the change of one delivery. If another record comes in between, that one is changed instead.
func (c *Changer) changeOne(
	ctx context.Context, t target, actor string, judge changeFunc,
) (rec delivery.Record, f settlement, why string, err error) {
	r, ok := c.Config.Recipient(t.recipient)
	if !ok || r.Deleting {
		return rec, 0, "the recipient does not exist", nil
	}
	appliance, id, _ := event.SplitKey(t.key)
	for {
		found, err := c.Log.Attempts(ctx, deliverylog.AttemptFilter{
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
			return rec, 0, fmt.Sprintf("it is already final (%s): retry it to send it again", s), nil
		}
		rec, f, why = judge(r, found[0].Record, c.Bus.Now())
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
		return "the event does not exist", nil
	case t.replay != "":
		return "this replay has no attempt yet, or does not exist", nil
	default:
		return "it has no attempt yet, or is not routed to this recipient: wait for the first attempt, or purge the recipient's queue", nil
	}
}
