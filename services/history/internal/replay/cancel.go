package replay

import (
	"context"
	"errors"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

const (
	// stopWait is how long a call waits for a replay to stop, which is longer than the lease of a process that has died.
	stopWait = 20 * time.Second
	// stopPoll is the pause between two checks whether it has.
	stopPoll = 100 * time.Millisecond
)

// Cancel stops a replay and returns once it has stopped: the process that runs it notices when it next saves its progress, within a second
// or two, and saves what it has queued. A replay that has ended stays as it is.
func (s *Replayer) Cancel(ctx context.Context, id string) (*outboundv1.Replay, error) {
	actor := rpc.Actor(ctx)
	j, err := s.store.update(ctx, id, func(j *job) bool {
		if j.replay.GetState() != outboundv1.Replay_RUNNING || j.StopAsked != "" {
			return false
		}
		j.StopAsked = actor
		return true
	})
	if err == nil {
		j, err = s.stopped(ctx, j)
	}
	return replayOr(j, id, err)
}

// stopped waits until a replay has stopped. If no process runs it, it is stopped here. It may still run when that takes too long.
func (s *Replayer) stopped(ctx context.Context, j *job) (*job, error) {
	ctx, cancel := context.WithTimeout(ctx, stopWait)
	defer cancel()
	tick := time.NewTicker(stopPoll)
	defer tick.Stop()
	for j.replay.GetState() == outboundv1.Replay_RUNNING {
		if s.Bus.Now().After(j.Lease) {
			if err := s.stopHere(ctx, j); err != nil && !errors.Is(err, bus.ErrConflict) && !errors.Is(err, errTaken) {
				return nil, err
			}
		}
		select {
		case <-ctx.Done():
			return j, nil
		case <-tick.C:
		}
		next, err := s.store.get(ctx, j.replay.GetId())
		if ctx.Err() != nil {
			return j, nil
		}
		if err != nil {
			return nil, err
		}
		j = next
	}
	return j, nil
}

// stopHere takes a replay that no process runs, counts what is queued and ends it.
func (s *Replayer) stopHere(ctx context.Context, j *job) error {
	p := &runner{s: s, owner: ulid.Make().String()}
	j.Owner, j.Lease = p.owner, s.Bus.Now().Add(lease)
	if err := s.store.save(ctx, j); err != nil {
		return err
	}
	return (&run{runner: p, job: j}).resume(ctx)
}
