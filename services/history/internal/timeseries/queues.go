package timeseries

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/configclient"
	"github.com/outbound-events/outbound/pkg/health"
	"github.com/outbound-events/outbound/pkg/pause"
	"github.com/outbound-events/outbound/pkg/telemetry"
	"github.com/outbound-events/outbound/services/history/internal/lookup"
	"github.com/outbound-events/outbound/services/history/internal/queues"
)

const (
	// mostQueues is how many queues a sample has: the longest.
	mostQueues = 1_000
	// sampleTick is how often a process checks whether the current minute has a sample. Whichever sees first that it has not takes it.
	sampleTick = 2 * time.Second
	// sampleTimeout bounds the time to look the queues up and to store them.
	sampleTimeout = 20 * time.Second
)

// Queues are how long the queues were, as the history processes have looked once a minute and stored it. It is safe for concurrent use.
type Queues struct {
	Deps

	store *control.HealthStore
	mu    sync.Mutex
	by    map[control.QueueSlot]control.QueueSample
	// followed says that all that is stored is known.
	followed bool
}

// Deps are what is needed to look at the queues, all required.
type Deps struct {
	Bus    *bus.Conn
	Config *configclient.Client
	Queues *queues.Reader
	Logger *slog.Logger
}

// NewQueues makes queues of which nothing is known.
func NewQueues(d Deps) *Queues {
	return &Queues{Deps: d, store: control.NewHealthStore(d.Bus), by: map[control.QueueSlot]control.QueueSample{}}
}

// Run follows what is stored, and looks at the queues once a minute unless another process has, until ctx ends.
func (q *Queues) Run(ctx context.Context) {
	var followed sync.WaitGroup
	defer followed.Wait()
	followed.Go(func() { q.follow(ctx) })
	said := ""
	for ctx.Err() == nil {
		err := q.sample(ctx)
		if text := errorText(err); text != said && ctx.Err() == nil {
			if said = text; text != "" {
				q.Logger.Warn("looking at the queues for the time series failed, retrying", telemetry.KeyError, text)
			}
		}
		pause.For(ctx, sampleTick)
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// follow keeps what is stored in memory.
func (q *Queues) follow(ctx context.Context) {
	for ctx.Err() == nil {
		err := q.store.WatchQueueSamples(ctx, q.forget, func() { q.setFollowed(true) },
			func(at control.QueueSlot, x control.QueueSample) {
				q.mu.Lock()
				defer q.mu.Unlock()
				q.by[at] = x
			})
		if err != nil && ctx.Err() == nil {
			q.setFollowed(false)
			q.Logger.Debug("following the queues for the time series failed, retrying", telemetry.KeyError, err.Error())
		}
		pause.For(ctx, time.Second)
	}
}

func (q *Queues) forget() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.by, q.followed = map[control.QueueSlot]control.QueueSample{}, false
}

func (q *Queues) setFollowed(is bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.followed = is
}

// stored is the sample at a slot's place, which may be of an earlier slot; ok is false while what is stored is not known.
func (q *Queues) stored(r resolution, slot int64) (control.QueueSample, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.by[placeOf(r, slot)], q.followed
}

func placeOf(r resolution, slot int64) control.QueueSlot {
	return control.QueueSlot{Interval: r.Interval, Place: slot % r.Slots}
}

// sample looks at the queues if nobody has in this minute, and stores what it sees. The first resolution is the one by which processes
// agree who does: whoever is second fails with a conflict, and leaves the rest to the first.
func (q *Queues) sample(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, sampleTimeout)
	defer cancel()
	now := q.Bus.Now()
	all := resolutions()
	minute := all[0].slot(now)
	if x, ok := q.stored(all[0], minute); !ok || x.Slot >= minute {
		return nil
	}
	if err := lookup.AwaitConfig(ctx, q.Config); err != nil {
		return err
	}
	seen, err := q.look(ctx)
	if err != nil {
		return err
	}
	for _, r := range all {
		err := q.raise(ctx, r, r.slot(now), seen)
		if errors.Is(err, health.ErrConflict) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// look looks at the queues now.
func (q *Queues) look(ctx context.Context) (control.QueueSample, error) {
	recipients := q.Config.Recipients()
	backlogs, err := q.Queues.Backlogs(ctx, recipients)
	if err != nil {
		return control.QueueSample{}, err
	}
	out := control.QueueSample{Waiting: map[string]int64{}}
	for i, b := range backlogs {
		if n := int64(min(b.Total(), 1<<62)); n > 0 {
			out.Total += n
			out.Waiting[recipients[i].ID] = n
		}
	}
	return bounded(out), nil
}

// bounded leaves out the shortest queues.
func bounded(x control.QueueSample) control.QueueSample {
	if len(x.Waiting) <= mostQueues {
		return x
	}
	lengths := make([]int64, 0, len(x.Waiting))
	for _, n := range x.Waiting {
		lengths = append(lengths, n)
	}
	slices.Sort(lengths)
	least := lengths[len(lengths)-mostQueues]
	for id, n := range x.Waiting {
		if n < least {
			delete(x.Waiting, id)
		}
	}
	for id, n := range x.Waiting { // several may be as short as the shortest that stays
		if len(x.Waiting) > mostQueues && n == least {
			delete(x.Waiting, id)
		}
	}
	x.More = true
	return x
}

// raise stores the greater of what was seen before in an interval and what is seen now.
func (q *Queues) raise(ctx context.Context, r resolution, slot int64, seen control.QueueSample) error {
	before, _ := q.stored(r, slot)
	next := control.QueueSample{Slot: slot, Total: seen.Total, More: seen.More, Revision: before.Revision, Waiting: map[string]int64{}}
	for id, n := range seen.Waiting {
		next.Waiting[id] = n
	}
	if before.Slot == slot {
		next.Total, next.More = max(next.Total, before.Total), next.More || before.More
		for id, n := range before.Waiting {
			next.Waiting[id] = max(next.Waiting[id], n)
		}
	}
	return q.store.PutQueueSample(ctx, placeOf(r, slot), bounded(next))
}

// read returns how long the queue of a recipient, or all together for an empty id, was in each interval; -1 where that is not known.
func (q *Queues) read(id string, r resolution, first int64) []int64 {
	out := make([]int64, r.Slots)
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range out {
		out[i] = -1
		x, ok := q.by[placeOf(r, first+int64(i))]
		if !ok || x.Slot != first+int64(i) {
			continue
		}
		if id == "" {
			out[i] = x.Total
			continue
		}
		if n, known := x.Waiting[id]; known || !x.More {
			out[i] = n
		}
	}
	return out
}
