package replay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bus/eventlog"
	"github.com/outbound-events/outbound/pkg/pause"
	"github.com/outbound-events/outbound/pkg/telemetry"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// run is one job that this process runs.
type run struct {
	runner *runner
	*job
	src source
	// stored are the deliveries of the job in EVENTS, by id; before is how many were queued when this run began, and fresh how many
	// it added.
	mu     sync.Mutex
	stored map[string]bool
	before int64
	fresh  int64
	// lost is how many of the current page are unavailable: they are counted when the page is done.
	lost int64
	// doubtful is how many items an earlier run may have queued without saving that.
	doubtful int
	saved    time.Time
}

// errTaken means that this process no longer has the job: it was cancelled, or its lease ran out.
var errTaken = errors.New("the replay is run by another instance")

// toEnd runs the job to its end, until ctx ends or the lease is lost.
func (r *run) toEnd(ctx context.Context) {
	log := r.runner.s.Logger.With(telemetry.KeyReplay, r.replay.GetId())
	for ctx.Err() == nil {
		err := r.resume(ctx)
		switch {
		case errors.Is(err, errTaken), err == nil:
			return
		case errors.Is(err, errNoRecipient):
			if err := r.finish(ctx, outboundv1.Replay_FAILED, err.Error()); err != nil && !errors.Is(err, errTaken) {
				// The process that takes it when the lease is over finds the same.
				log.WarnContext(ctx, "final state of a replay not stored", telemetry.KeyError, err.Error())
			}
			return
		case ctx.Err() == nil:
			log.WarnContext(ctx, "replay interrupted, retrying", telemetry.KeyError, err.Error())
			pause.For(ctx, saveEvery)
		}
	}
	// Without a lease another process can go on at once.
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveEvery)
	defer cancel()
	r.replay.Queued, r.Lease = r.before+r.fresh, time.Time{}
	if err := r.runner.s.store.save(last, r.job); errors.Is(err, bus.ErrConflict) {
		_ = r.giveUp(last) // it was asked to stop meanwhile
	}
}

// resume goes on where the job is. It may be called again after any error: it reads again what is stored.
func (r *run) resume(ctx context.Context) error {
	r.src = r.runner.s.source(r.replay, r.Until)
	if err := r.loadStored(ctx); err != nil {
		return err
	}
	if r.StopAsked != "" {
		return r.finish(ctx, outboundv1.Replay_STOPPED, stoppedBy(r.StopAsked))
	}
	if !r.Counted {
		if err := r.count(ctx); err != nil {
			return err
		}
	}
	for r.Next > 0 {
		if err := r.awaitStorage(ctx); err != nil {
			return err
		}
		items, next, err := r.src.find(ctx, r.Next, pageItems)
		if err != nil {
			return err
		}
		for some := range slices.Chunk(items, max(1, int(r.replay.GetRate())/4)) {
			if err := r.pace(ctx, some); err != nil {
				return err
			}
		}
		r.Next = next
		r.replay.Unavailable, r.lost = r.replay.GetUnavailable()+r.lost, 0
		if err := r.saveProgress(ctx, false); err != nil {
			return err
		}
	}
	return r.finish(ctx, outboundv1.Replay_DONE, "")
}

// pace queues some items and waits as long as the rate says.
func (r *run) pace(ctx context.Context, items []item) error {
	began, before := time.Now(), r.fresh
	if err := r.enqueue(ctx, items); err != nil {
		return err
	}
	if err := r.saveProgress(ctx, false); err != nil {
		return err
	}
	pause.For(ctx, time.Duration(r.fresh-before)*time.Second/time.Duration(r.replay.GetRate())-time.Since(began))
	return ctx.Err()
}

// loadStored reads from EVENTS what of the job is stored: the window of de-duplication may be over.
func (r *run) loadStored(ctx context.Context) error {
	queued := max(r.replay.GetQueued(), r.before+r.fresh)
	r.stored, r.fresh, r.lost = map[string]bool{}, 0, 0
	id := "~" + r.replay.GetId()
	err := eventlog.New(r.runner.s.Bus).Replayed(ctx, r.replay.GetId(), r.Behind+1,
		func(key string) { r.stored[key[:max(0, len(key)-len(id))]] = true })
	r.before = max(queued, int64(len(r.stored)))
	r.doubtful = 0
	if r.before > 0 {
		// EVENTS may have been purged since; then the log has the last ones.
		r.doubtful = 2*int(r.replay.GetRate()) + 2*pageItems
	}
	return err
}

// count counts the deliveries of the job.
func (r *run) count(ctx context.Context) error {
	seen := map[string]bool{}
	for next := r.Next; next > 0; {
		items, then, err := r.src.find(ctx, next, pageItems)
		if err != nil {
			return err
		}
		for _, i := range items {
			seen[i.id()] = true
		}
		next = then
		r.replay.Total = int64(len(seen))
		if err := r.saveProgress(ctx, false); err != nil {
			return err
		}
	}
	r.Counted = true
	return r.saveProgress(ctx, true)
}

// awaitStorage waits while EVENTS is so full that the rest is for appliances.
func (r *run) awaitStorage(ctx context.Context) error {
	for ctx.Err() == nil {
		usage, err := control.New(r.runner.s.Bus).StreamState(ctx, bus.StreamEvents)
		if err != nil {
			return err
		}
		if usage.Fill() < replaysBelow {
			r.replay.Detail = ""
			return nil
		}
		if err := r.pause(ctx, fmt.Sprintf("EVENTS is %.0f %% full: the replay continues when there is space", 100*usage.Fill())); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// pause saves why the job waits, and waits.
func (r *run) pause(ctx context.Context, why string) error {
	r.replay.Detail = why
	if err := r.saveProgress(ctx, true); err != nil {
		return err
	}
	pause.For(ctx, saveEvery)
	return nil
}
