package history

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/outbound-events/outbound/pkg/bus"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

const (
	// lease is how long a job stays a process's own without a word from it.
	lease = 10 * time.Second
	// replayTick is the pause between two looks for jobs that nobody runs.
	replayTick = 2 * time.Second
	// saveEvery is how often a job's progress is kept; a cancel is seen then.
	saveEvery = time.Second
	// jobsAtOnce is how many jobs one process runs.
	jobsAtOnce = 8
	// pageItems is how many items are read at once.
	pageItems = 200
	// replaysBelow is how full EVENTS may be before replays wait: what appliances send goes first.
	replaysBelow = 0.85
)

// replayer runs jobs in this process.
type replayer struct {
	s     *Service
	owner string

	mu   sync.Mutex
	runs map[string]bool
	wg   sync.WaitGroup
}

// runReplays runs jobs until ctx ends; then it leaves them to others, or to its next life.
func (s *Service) runReplays(ctx context.Context) {
	p := &replayer{s: s, owner: ulid.Make().String(), runs: map[string]bool{}}
	defer p.wg.Wait()
	tick := time.NewTicker(replayTick)
	defer tick.Stop()
	for {
		if s.Bus.Connected() {
			if err := p.look(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, bus.ErrNotFound) {
				slog.WarnContext(ctx, "read of replays failed, retrying", "error", err.Error())
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-s.newReplay:
		}
	}
}

// look takes the jobs that nobody runs.
func (p *replayer) look(ctx context.Context) error {
	all, err := p.s.jobs(ctx)
	if err != nil {
		return err
	}
	for _, j := range all {
		if j.replay.GetState() == outboundv1.Replay_RUNNING && time.Now().After(j.Lease) && p.begin(j.replay.GetId()) {
			j.Owner, j.Lease = p.owner, time.Now().Add(lease)
			if err := p.s.save(ctx, j); err != nil {
				p.end(j.replay.GetId())
				continue // another was faster, or it was cancelled
			}
			p.wg.Go(func() {
				defer p.end(j.replay.GetId())
				(&run{p: p, job: j}).all(ctx)
			})
		}
	}
	return nil
}

func (p *replayer) begin(id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.runs[id] || len(p.runs) >= jobsAtOnce {
		return false
	}
	p.runs[id] = true
	return true
}

func (p *replayer) end(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.runs, id)
}
