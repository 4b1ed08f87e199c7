package replay

import (
	"context"
	"errors"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/outbound-events/outbound/pkg/bus"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// saveProgress saves how far the job is, every saveEvery or now, and prolongs the lease. errTaken: it was cancelled, or another process has
// it.
func (r *run) saveProgress(ctx context.Context, now bool) error {
	if !now && time.Since(r.saved) < saveEvery {
		return nil
	}
	r.replay.Queued, r.Lease = r.before+r.fresh, r.runner.s.Bus.Now().Add(lease)
	err := r.runner.s.store.save(ctx, r.job)
	if errors.Is(err, bus.ErrConflict) {
		return r.giveUp(ctx)
	}
	if err == nil {
		r.saved = time.Now()
	}
	return err
}

// giveUp saves that a job has stopped, and how far it came, in one write, if it was asked to stop and this process still owns it.
func (r *run) giveUp(ctx context.Context) error {
	_, err := r.runner.s.store.update(ctx, r.replay.GetId(), func(j *job) bool {
		if j.Owner != r.runner.owner || j.StopAsked == "" || j.replay.GetState() != outboundv1.Replay_RUNNING {
			return false
		}
		r.copyCounts(j.replay)
		end(j.replay, outboundv1.Replay_STOPPED, stoppedBy(j.StopAsked), r.runner.s.Bus.Now())
		return true
	})
	if err != nil {
		return err
	}
	return errTaken
}

// copyCounts copies how far this run came.
func (r *run) copyCounts(to *outboundv1.Replay) {
	to.Total, to.Queued, to.Unavailable = r.replay.GetTotal(), r.before+r.fresh, r.replay.GetUnavailable()+r.lost
}

// finish ends a job. Its state is saved with its last counts.
func (r *run) finish(ctx context.Context, state outboundv1.Replay_State, detail string) error {
	r.replay.Unavailable, r.lost = r.replay.GetUnavailable()+r.lost, 0
	end(r.replay, state, detail, r.runner.s.Bus.Now())
	err := r.saveProgress(ctx, true)
	if err != nil {
		// The job has not ended until that is saved.
		r.replay.State, r.replay.FinishTime = outboundv1.Replay_RUNNING, nil
	}
	return err
}

func end(r *outboundv1.Replay, state outboundv1.Replay_State, detail string, now time.Time) {
	r.State, r.Detail, r.FinishTime = state, detail, timestamppb.New(now)
}

func stoppedBy(actor string) string { return "cancelled by " + actor }
