package control

import (
	"context"
	"fmt"
	"hash/fnv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/outbound-events/outbound/pkg/bus/internal/names"
	"github.com/outbound-events/outbound/pkg/bus/internal/wire"
	"github.com/outbound-events/outbound/pkg/recipient"
)

// oldestLookups is how many first messages are looked up at once.
const oldestLookups = 8

// Backlogs looks at the queues of all recipients together. It remembers when the first message of each was stored, which is
// looked up again only when the queue has moved.
type Backlogs struct {
	conn *wire.Conn

	mu    sync.Mutex
	known map[head]time.Time
}

// head tells where a queue begins.
type head struct {
	name string
	// from is the first sequence that may be in it, filters stands for what it gets.
	from, filters uint64
}

// spot is where a first message is looked for.
type spot struct {
	from   uint64
	filter string
}

// NewBacklogs looks at the queues through a connection.
func NewBacklogs(c *wire.Conn) *Backlogs { return &Backlogs{conn: c, known: map[head]time.Time{}} }

// BacklogsByConsumer are queues by the names of their consumers.
type BacklogsByConsumer map[string]Backlog

// Of is a recipient's queue; empty if it has none yet.
func (b BacklogsByConsumer) Of(r *recipient.Recipient) Backlog {
	return b[names.ConsumerName(r.Channel(), r.ID)]
}

// moved are the queues whose first message is not known, with the filters of each.
type moved map[head][]string

// All looks at every queue. See Conn.Backlog.
func (b *Backlogs) All(ctx context.Context) (BacklogsByConsumer, error) {
	s, err := b.conn.JS.Stream(ctx, names.StreamEvents)
	if err != nil {
		return nil, fmt.Errorf("look up stream %s: %w", names.StreamEvents, err)
	}
	b.mu.Lock()
	known := b.known
	b.mu.Unlock()
	out, still, unknown := BacklogsByConsumer{}, map[head]time.Time{}, moved{}
	err = queuesOf(ctx, s, func(i *jetstream.ConsumerInfo) {
		x := backlogOf(i)
		if x.Waiting+x.Unsettled > 0 {
			h := headOf(i, s.CachedInfo().State.FirstSeq)
			if at, ok := known[h]; ok {
				still[h], x.Oldest = at, at
			} else {
				unknown[h] = filtersOf(i)
			}
		}
		out[i.Name] = x
	})
	if err != nil {
		return nil, err
	}
	found, err := b.look(ctx, s, unknown)
	if err != nil {
		return nil, fmt.Errorf("read the first messages of queues: %w", err)
	}
	for h, at := range found {
		x := out[h.name]
		x.Oldest = at
		out[h.name], still[h] = x, at
	}
	b.mu.Lock()
	b.known = still
	b.mu.Unlock()
	return out, nil
}

// look finds when the first message of each queue was stored. Queues that begin at one place and want the same share a look.
func (b *Backlogs) look(ctx context.Context, s jetstream.Stream, unknown moved) (map[head]time.Time, error) {
	if len(unknown) == 0 {
		return map[head]time.Time{}, nil
	}
	// Nearly no queue has replays, and each has a subject of its own for them.
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(names.SubjectReplay+".*"))
	if err != nil {
		return nil, err
	}
	spots := map[spot]time.Time{}
	for h, filters := range unknown {
		for _, f := range filters {
			if !strings.HasPrefix(f, names.SubjectReplay) || info.State.Subjects[f] > 0 {
				spots[spot{from: h.from, filter: f}] = time.Time{}
			}
		}
	}
	if err := b.fill(ctx, spots); err != nil {
		return nil, err
	}
	out := map[head]time.Time{}
	for h, filters := range unknown {
		for _, f := range filters {
			at := spots[spot{from: h.from, filter: f}]
			if first, ok := out[h]; !at.IsZero() && (!ok || at.Before(first)) {
				out[h] = at
			}
		}
	}
	return out, nil
}

func (b *Backlogs) fill(ctx context.Context, spots map[spot]time.Time) error {
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(oldestLookups)
	all := make([]spot, 0, len(spots))
	for x := range spots {
		all = append(all, x)
	}
	for _, x := range all {
		g.Go(func() error {
			ms, err := b.conn.Direct(ctx, names.StreamEvents, wire.DirectRequest{Sequence: x.from, NextFor: x.filter})
			if err != nil || len(ms) == 0 {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			spots[x] = wire.StoredTime(ms[0])
			return nil
		})
	}
	return g.Wait()
}

func backlogOf(i *jetstream.ConsumerInfo) Backlog {
	return Backlog{Waiting: i.NumPending, Unsettled: uint64(max(i.NumAckPending, 0)), AckFloor: i.AckFloor.Stream, Given: i.Delivered.Stream}
}

func headOf(i *jetstream.ConsumerInfo, first uint64) head {
	f := fnv.New64a()
	for _, x := range filtersOf(i) {
		_, _ = f.Write([]byte(x + " "))
	}
	return head{name: i.Name, from: max(i.AckFloor.Stream+1, i.Config.OptStartSeq, first), filters: f.Sum64()}
}

func filtersOf(i *jetstream.ConsumerInfo) []string {
	if i.Config.FilterSubject != "" {
		return []string{i.Config.FilterSubject}
	}
	return i.Config.FilterSubjects
}
