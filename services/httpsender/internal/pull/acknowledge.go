package pull

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bus/queue"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/recipient"
)

// answerReserve is the part of the asker's time that is left for the answer.
const answerReserve = 2 * time.Second

// Acknowledge ends what is not final of a recipient's deliveries up to a number, as delivered. It may stop earlier, when the asker's time
// is nearly over: the answer's cursor says where.
func (a *Answerer) Acknowledge(
	ctx context.Context, r *recipient.Recipient, q control.AcknowledgeQuestion,
) (control.AcknowledgeAnswer, error) {
	began := time.Now()
	cursor, last, err := a.cursor(ctx, r)
	out := control.AcknowledgeAnswer{Cursor: cursor, Last: last}
	if err != nil || q.Through > last {
		return out, err
	}
	for out.Cursor < q.Through && (out.Cursor == cursor || time.Since(began) < q.Within-answerReserve) {
		items, next, err := a.batch(ctx, r, out.Cursor, int(min(atOnce, q.Through-out.Cursor)))
		if err != nil {
			return out, err
		}
		out.Last = max(out.Last, next)
		if next == out.Cursor || next > q.Through && len(items) == 0 {
			return out, nil
		}
		through := items
		for len(through) > 0 && through[len(through)-1].number > q.Through {
			through = through[:len(through)-1]
		}
		ended, err := a.end(ctx, r, through, q.Actor)
		if err != nil {
			return out, err
		}
		out.Ended += ended
		out.Cursor = min(next, q.Through)
		if len(through) == 0 {
			continue
		}
		mark := control.PulledMark{Number: out.Cursor, Sequence: through[len(through)-1].event.Sequence}
		if err := control.NewPulledMarks(a.Bus).Advance(ctx, r, mark); err != nil {
			return out, fmt.Errorf("store what recipient %s has acknowledged: %w", r.ID, err)
		}
	}
	return out, nil
}

// end records how the deliveries end that have not, and settles the messages that are in no sender's hands.
func (a *Answerer) end(ctx context.Context, r *recipient.Recipient, items []item, actor string) (ended int, err error) {
	did := make([]bool, len(items))
	g, recording := errgroup.WithContext(ctx)
	g.SetLimit(lookups)
	for i := range items {
		g.Go(func() (err error) {
			did[i], err = a.endOne(recording, r, &items[i], actor)
			return err
		})
	}
	err = g.Wait()
	var settled []uint64
	for i, x := range items {
		if !did[i] {
			continue
		}
		ended++
		// What a sender may have in hand it settles itself, by the record.
		if next := x.newest.NextAttempt; next != nil && next.After(a.Bus.Now().Add(queue.Settled)) {
			settled = append(settled, x.event.Sequence)
		}
	}
	if err != nil || len(settled) == 0 {
		return ended, err
	}
	if err := queue.New(a.Bus).AckBySequence(ctx, r.Channel(), r.ID, settled); err != nil {
		return ended, fmt.Errorf("settle what recipient %s has acknowledged: %w", r.ID, err)
	}
	return ended, nil
}

// endOne records the end of one delivery, and reports whether it was this that ended it.
func (a *Answerer) endOne(ctx context.Context, r *recipient.Recipient, x *item, actor string) (bool, error) {
	for x.at == 0 || !x.newest.State.Final() {
		var newest *delivery.Record
		var unwanted *delivery.Verdict
		if x.at != 0 {
			newest = &x.newest
		} else if v, _, is := x.message().Unwanted(r, a.Matches); is {
			unwanted = v
		}
		stored := make(chan error, 1)
		rec := x.message().Acknowledged(r, x.number, newest, unwanted, actor)
		a.Log.AppendAfter(rec, x.at, func(err error) { stored <- err })
		var err error
		select {
		case err = <-stored:
		case <-ctx.Done():
			err = ctx.Err()
		}
		switch {
		case err == nil:
			a.tell(r, x, rec, unwanted)
			return true, nil
		case !errors.Is(err, delivery.ErrConflict) && !errors.Is(err, delivery.ErrAlreadyRecorded):
			return false, err
		}
		if err := a.look(ctx, r, x); err != nil {
			return false, err
		}
	}
	return false, nil
}

// tell tells the observer how a delivery has ended.
func (a *Answerer) tell(r *recipient.Recipient, x *item, rec delivery.Record, unwanted *delivery.Verdict) {
	v := delivery.Verdict{Kind: delivery.Delivered, Reason: rec.Reason, Detail: rec.Detail}
	if unwanted != nil {
		v = *unwanted
	}
	a.Observer.Ended(delivery.Report{
		Delivery: &delivery.Delivery{
			Recipient: r, Event: x.event.Event, Accepted: x.event.Time, Attempt: rec.Attempt, Number: x.number, Actor: rec.Actor,
		},
		Channel: r.Channel(), Verdict: v, State: rec.State, Sequence: x.event.Sequence,
	})
}
