package reconcile

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/bus/queue"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/pause"
	"github.com/outbound-events/outbound/pkg/recipient"
)

const (
	// reliefBatch is how many messages are read at once, reliefAtOnce how many deliveries are looked up and recorded at once.
	reliefBatch  = 500
	reliefAtOnce = 128
	// reliefPurge is how often the beginning of EVENTS is removed meanwhile. The consumers have heard of what was stored by then.
	reliefPurge = time.Second
	// reliefTries is how often a delivery is looked up that goes on meanwhile.
	reliefTries = 5
)

// recordsGone is the detail of a delivery that was handed out before the oldest record of the log was stored.
const recordsGone = "an attempt may have been made: the log no longer has records of that time"

// relief records how the oldest deliveries of some recipients end, and removes the beginning of EVENTS. It does so itself: a sender may not
// run, may hold the messages, or may have been killed with them, so that the broker would not hand them out before the ack wait. A sender
// that has one in hand finds the record when it stores its own.
type relief struct {
	bus     *bus.Conn
	records *deliverylog.Log
	// first and through are sequences of EVENTS: where it begins, and up to where it is freed. seen is when through was there.
	first, through uint64
	seen           time.Time
	queues         []*endedQueue
	// began is when the oldest record of the log was stored.
	began time.Time
}

// endedQueue is a recipient's queue whose beginning ends. Which part that is the recipient says.
type endedQueue struct {
	recipient *recipient.Recipient
	// floor is the last sequence that the queue can no longer need, given the last one that was handed out.
	floor, given uint64
	// recorded is the sequence up to which every delivery has a final record.
	recorded uint64
}

// run frees EVENTS as far as it comes.
func (x *relief) run(ctx context.Context) error {
	var err error
	if x.began, err = x.records.Began(ctx); err != nil {
		return err
	}
	purged := x.seen
	for from := x.first; from <= x.through; {
		next, err := x.batch(ctx, from)
		if err != nil {
			return errors.Join(err, x.purge(ctx))
		}
		if from = next; time.Since(purged) >= reliefPurge {
			purged = time.Now()
			if err := x.purge(ctx); err != nil {
				return err
			}
		}
	}
	if rest := reliefPurge - time.Since(x.seen); rest > 0 {
		pause.For(ctx, rest)
	}
	return x.purge(ctx)
}

// batch ends deliveries from a sequence of EVENTS on, and returns where the next batch begins.
func (x *relief) batch(ctx context.Context, from uint64) (next uint64, err error) {
	ms, err := queue.New(x.bus).Peek(ctx, from, reliefBatch)
	if err != nil {
		return from, err
	}
	next = x.through + 1
	if len(ms) > 0 {
		next = min(next, ms[len(ms)-1].Sequence+1)
	}
	g, each := errgroup.WithContext(ctx)
	g.SetLimit(reliefAtOnce)
	for _, q := range x.queues {
		for _, m := range ms {
			if m.Sequence > q.floor && m.Sequence <= x.through && m.Event != nil && m.For(q.recipient) {
				g.Go(func() error { return x.end(each, q, m.Message) })
			}
		}
	}
	if err := g.Wait(); err != nil {
		return from, err
	}
	for _, q := range x.queues {
		q.recorded = min(next-1, max(q.recipient.BacklogThrough, q.recipient.PurgedThrough))
	}
	return next, nil
}

// end records how a delivery ends, unless it has ended.
func (x *relief) end(ctx context.Context, q *endedQueue, m delivery.Message) error {
	for range reliefTries {
		newest, at, err := x.records.Latest(ctx, q.recipient.ID, m.Event, m.ReplayID)
		if err != nil {
			return err
		}
		if at > 0 && newest.State.Final() {
			return nil
		}
		rec, ends := delivery.Emptied(q.recipient, m, newest, at > 0)
		if !ends {
			return nil
		}
		if at == 0 && m.Sequence <= q.given && m.Stored.Before(x.began) {
			rec.Detail = recordsGone
		}
		stored := make(chan error, 1)
		x.records.AppendAfter(rec, at, func(err error) { stored <- err })
		select {
		case err = <-stored:
		case <-ctx.Done():
			return ctx.Err()
		}
		if !errors.Is(err, delivery.ErrConflict) && !errors.Is(err, delivery.ErrAlreadyRecorded) {
			return err
		}
	}
	return fmt.Errorf("end the delivery at sequence %d of recipient %s: it goes on meanwhile", m.Sequence, q.recipient.ID)
}

// purge removes the beginning of EVENTS as far as all have finished it.
func (x *relief) purge(ctx context.Context) error {
	recorded := map[string]uint64{}
	for _, q := range x.queues {
		recorded[bus.ConsumerName(q.recipient.Channel(), q.recipient.ID)] = q.recorded
	}
	_, err := control.New(x.bus).PurgeRecorded(ctx, x.through, recorded)
	return err
}
