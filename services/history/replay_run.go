package history

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/event"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// run is one job under way in this process.
type run struct {
	p *replayer
	*job
	src source
	// stored are the deliveries that EVENTS has of the job, by id; before is how many are queued as of the beginning of this run,
	// and fresh how many this run added.
	mu     sync.Mutex
	stored map[string]bool
	before int64
	fresh  int64
	// lost are unavailable in the page under way: they are counted once it is done.
	lost int64
	// doubtful is how many items may have been queued by a run that ended before it could say so.
	doubtful int
	saved    time.Time
}

// errTaken says that the job is no longer this process's: it was cancelled, or its lease ran out.
var errTaken = errors.New("the replay is run by another instance")

// all runs the job to its end, or as long as ctx and the lease last.
func (r *run) all(ctx context.Context) {
	for ctx.Err() == nil {
		err := r.once(ctx)
		switch {
		case errors.Is(err, errTaken), err == nil:
			return
		case errors.Is(err, errNoRecipient):
			if err := r.finish(ctx, outboundv1.Replay_FAILED, err.Error()); err != nil && !errors.Is(err, errTaken) {
				// Whoever takes it up when the lease is over finds the same.
				slog.WarnContext(ctx, "final state of a replay not stored", "replay", r.replay.GetId(), "error", err.Error())
			}
			return
		case ctx.Err() == nil:
			slog.WarnContext(ctx, "replay interrupted, retrying", "replay", r.replay.GetId(), "error", err.Error())
			r.rest(ctx, saveEvery)
		}
	}
	// The next process may go on at once.
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveEvery)
	defer cancel()
	r.replay.Queued, r.Lease = r.before+r.fresh, time.Time{}
	if err := r.p.s.save(last, r.job); errors.Is(err, bus.ErrConflict) {
		_ = r.leave(last) // it was asked to stop meanwhile
	}
}

// once goes on from where the job is. It may be called again after any error: what is stored is found out anew.
func (r *run) once(ctx context.Context) error {
	r.src = r.p.s.source(r.replay, r.Until)
	if err := r.recall(ctx); err != nil {
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
		if err := r.keep(ctx, false); err != nil {
			return err
		}
	}
	return r.finish(ctx, outboundv1.Replay_DONE, "")
}

// pace queues some items and waits as long as the rate says.
func (r *run) pace(ctx context.Context, items []item) error {
	began, before := time.Now(), r.fresh
	if err := r.queue(ctx, items); err != nil {
		return err
	}
	if err := r.keep(ctx, false); err != nil {
		return err
	}
	r.rest(ctx, time.Duration(r.fresh-before)*time.Second/time.Duration(r.replay.GetRate())-time.Since(began))
	return ctx.Err()
}

// recall finds out what of the job is stored already: EVENTS itself says so, since its window of de-duplication may be over.
func (r *run) recall(ctx context.Context) error {
	queued := max(r.replay.GetQueued(), r.before+r.fresh)
	r.stored, r.fresh, r.lost = map[string]bool{}, 0, 0
	id := "~" + r.replay.GetId()
	err := r.p.s.Bus.Replayed(ctx, r.replay.GetId(), r.Behind+1, func(key string) { r.stored[key[:max(0, len(key)-len(id))]] = true })
	r.before = max(queued, int64(len(r.stored)))
	r.doubtful = 0
	if r.before > 0 {
		// EVENTS may have been purged since; the log knows then what became of the last ones.
		r.doubtful = 2*int(r.replay.GetRate()) + 2*pageItems
	}
	return err
}

// count finds out how many deliveries the job is about.
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
		if err := r.keep(ctx, false); err != nil {
			return err
		}
	}
	r.Counted = true
	return r.keep(ctx, true)
}

// awaitStorage waits while EVENTS is so full that appliances need what is left.
func (r *run) awaitStorage(ctx context.Context) error {
	for ctx.Err() == nil {
		room, err := r.p.s.Bus.StreamUsage(ctx)
		if err != nil {
			return err
		}
		if room.Fill() < replaysBelow {
			r.replay.Detail = ""
			return nil
		}
		if err := r.pause(ctx, fmt.Sprintf("EVENTS is %.0f %% full: the replay continues when there is space", 100*room.Fill())); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// pause says why the job waits, and waits.
func (r *run) pause(ctx context.Context, why string) error {
	r.replay.Detail = why
	if err := r.keep(ctx, true); err != nil {
		return err
	}
	r.rest(ctx, saveEvery)
	return nil
}

// queue stores each item that is not stored yet. EVENTS that is full is waited for.
func (r *run) queue(ctx context.Context, items []item) error {
	for {
		var full atomic.Bool
		g, storing := errgroup.WithContext(ctx)
		g.SetLimit(storesAtOnce)
		for _, i := range items {
			g.Go(func() error {
				err := r.one(storing, i)
				if errors.Is(err, bus.ErrFull) {
					full.Store(true)
					return nil
				}
				return err
			})
		}
		if err := g.Wait(); err != nil || !full.Load() {
			return err
		}
		if err := r.pause(ctx, "EVENTS is full: the replay continues when there is space"); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// one stores one item, unless it is stored or can't be. Items of one id come one at a time within a page, or twice: the message id
// makes the second harmless.
func (r *run) one(ctx context.Context, i item) error {
	if r.known(i.id()) {
		return nil
	}
	if i.gone {
		r.note(i.id(), &r.lost)
		return nil
	}
	if !i.read {
		e, err := r.p.s.eventAt(ctx, i)
		if errors.Is(err, bus.ErrNotFound) {
			r.note(i.id(), &r.lost)
			return nil
		}
		if err != nil {
			return err
		}
		i.event = e
	}
	if r.doubts() {
		if _, at, err := r.p.s.Log.Latest(ctx, i.to, i.event, r.replay.GetId()); err != nil || at != 0 {
			return err
		}
	}
	// The answer is waited for though others have failed: what has none could be stored after it was counted.
	finish, cancel := r.p.s.Bus.WithoutCancel(ctx)
	defer cancel()
	_, err := r.p.s.Publisher.Replay(finish, i.to, i.event, bus.Replay{ID: r.replay.GetId(), Actor: r.replay.GetActor()})
	if err == nil {
		r.note(i.id(), &r.fresh)
	}
	return err
}

// eventAt reads an item's event back, or bus.ErrNotFound. A broker that lost its end has given sequences twice; the acceptance
// tells the right one then.
func (s *Service) eventAt(ctx context.Context, i item) (*event.Event, error) {
	e, err := s.Bus.StoredEvent(ctx, i.sequence)
	if err != nil || e.Key() == i.event.Key() {
		return e, err
	}
	rec, ok, err := s.Log.Intake(ctx, i.event.Appliance, i.event.ID)
	if err != nil {
		return nil, err
	}
	if ok && rec.Sequence != i.sequence {
		if e, err = s.Bus.StoredEvent(ctx, rec.Sequence); err != nil || e.Key() == i.event.Key() {
			return e, err
		}
	}
	return nil, fmt.Errorf("read event %s: %w", i.event.Key(), bus.ErrNotFound)
}

func (r *run) known(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stored[id]
}

func (r *run) note(id string, n *int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.stored[id] {
		r.stored[id] = true
		*n++
	}
}

func (r *run) doubts() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.doubtful--
	return r.doubtful >= 0
}

// keep says how far the job is, now and then, and prolongs the lease. errTaken: it was cancelled, or somebody else has it.
func (r *run) keep(ctx context.Context, now bool) error {
	if !now && time.Since(r.saved) < saveEvery {
		return nil
	}
	r.replay.Queued, r.Lease = r.before+r.fresh, time.Now().Add(lease)
	err := r.p.s.save(ctx, r.job)
	if errors.Is(err, bus.ErrConflict) {
		return r.leave(ctx)
	}
	if err == nil {
		r.saved = time.Now()
	}
	return err
}

// leave gives a job up that is to stop, and says in one how far it came and that it has stopped. One that somebody else runs is theirs
// to tell of.
func (r *run) leave(ctx context.Context) error {
	_, err := r.p.s.alter(ctx, r.replay.GetId(), func(j *job) bool {
		if j.Owner != r.p.owner || j.StopAsked == "" || j.replay.GetState() != outboundv1.Replay_RUNNING {
			return false
		}
		r.figures(j.replay)
		end(j.replay, outboundv1.Replay_STOPPED, stoppedBy(j.StopAsked))
		return true
	})
	if err != nil {
		return err
	}
	return errTaken
}

// figures writes how far this run came.
func (r *run) figures(to *outboundv1.Replay) {
	to.Total, to.Queued, to.Unavailable = r.replay.GetTotal(), r.before+r.fresh, r.replay.GetUnavailable()+r.lost
}

// finish ends a job. Its state is stored with its last figures.
func (r *run) finish(ctx context.Context, state outboundv1.Replay_State, detail string) error {
	r.replay.Unavailable, r.lost = r.replay.GetUnavailable()+r.lost, 0
	end(r.replay, state, detail)
	err := r.keep(ctx, true)
	if err != nil {
		// It is found out anew: nothing may say that it has ended before that is stored.
		r.replay.State, r.replay.FinishTime = outboundv1.Replay_RUNNING, nil
	}
	return err
}

func end(r *outboundv1.Replay, state outboundv1.Replay_State, detail string) {
	r.State, r.Detail, r.FinishTime = state, detail, timestamppb.Now()
}

func stoppedBy(actor string) string { return "cancelled by " + actor }

func (r *run) rest(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
