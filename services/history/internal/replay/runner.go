package replay

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/telemetry"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

const (
	// lease is how long a process keeps a job without saving its progress.
	lease = 10 * time.Second
	// lookEvery is the pause between two searches for jobs that no process runs.
	lookEvery = 2 * time.Second
	// saveEvery is how often a job's progress is saved; a cancel is noticed then.
	saveEvery = time.Second
	// jobsAtOnce is how many jobs one process runs.
	jobsAtOnce = 8
	// pageItems is how many items are read at once.
	pageItems = 200
	// storesAtOnce is how many deliveries of a job are stored at once; the group committer joins them.
	storesAtOnce = 64
	// replaysBelow is how full EVENTS may be before replays wait: events of appliances go first.
	replaysBelow = 0.85
)

// runner runs jobs in this process.
type runner struct {
	s     *Replayer
	owner string

	mu   sync.Mutex
	runs map[string]bool
	wg   sync.WaitGroup
}

// Run runs replays until ctx ends; then it leaves them to other processes, or to the next start of this one.
func (s *Replayer) Run(ctx context.Context) {
	p := &runner{s: s, owner: ulid.Make().String(), runs: map[string]bool{}}
	defer p.wg.Wait()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		if s.Bus.Connected() {
			if err := p.takeJobs(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, bus.ErrNotFound) {
				s.Logger.WarnContext(ctx, "read of replays failed, retrying", telemetry.KeyError, err.Error())
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-s.created:
		}
	}
}

// takeJobs takes and runs the jobs that no process runs.
func (p *runner) takeJobs(ctx context.Context) error {
	all, err := p.s.store.all(ctx)
	if err != nil {
		return err
	}
	for _, j := range all {
		if j.replay.GetState() == outboundv1.Replay_RUNNING && p.s.Bus.Now().After(j.Lease) && p.reserve(j.replay.GetId()) {
			j.Owner, j.Lease = p.owner, p.s.Bus.Now().Add(lease)
			if err := p.s.store.save(ctx, j); err != nil {
				p.release(j.replay.GetId())
				continue // another was faster, or it was cancelled
			}
			p.wg.Go(func() {
				defer p.release(j.replay.GetId())
				(&run{runner: p, job: j}).toEnd(ctx)
			})
		}
	}
	return nil
}

func (p *runner) reserve(id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.runs[id] || len(p.runs) >= jobsAtOnce {
		return false
	}
	p.runs[id] = true
	return true
}

func (p *runner) release(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.runs, id)
}
