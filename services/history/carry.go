package history

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/outbound-events/outbound/pkg/bus"
)

const (
	// carryTick is the longest pause between two looks at the log's bounds.
	carryTick = 2 * time.Second
	// carryStep is the part of the records that the log may hold after which it is looked at before that: one of so many.
	carryStep = 50
	// carryBatch is how many records are looked at together.
	carryBatch = 500
	// carryCall bounds the work on one batch.
	carryCall = 30 * time.Second
	// carryJudged is how many records are looked at before it is judged whether the log is too small, if it has no bound of records.
	carryJudged = 100_000
)

// carrier keeps the state of open deliveries in the log, which drops its oldest records: it copies the newest record of a delivery that
// will be tried again to the end before it is dropped. Several processes may do that at once: the second copy is refused.
type carrier struct {
	s      *Service
	signal chan struct{}
	// due is the sequence of a record that wakes the carrier.
	due atomic.Uint64
	// next is the first sequence that has not been looked at; 0: it is not known what has.
	next uint64
	// looked and copied count records since it was last judged whether the log is too small; small says that it was.
	looked, copied uint64
	small          bool
	// said is the last error that was logged.
	said string
}

func newCarrier(s *Service) *carrier { return &carrier{s: s, signal: make(chan struct{}, 1)} }

// recorded tells of a record that was stored.
func (c *carrier) recorded(sequence uint64) {
	if sequence < c.due.Load() {
		return
	}
	select {
	case c.signal <- struct{}{}:
	default:
	}
}

// run looks at the log until ctx ends.
func (c *carrier) run(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-c.s.Config.Ready():
	}
	tick := time.NewTicker(carryTick)
	defer tick.Stop()
	for {
		c.say(ctx, c.look(ctx))
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-c.signal:
		}
	}
}

// look copies what is to be kept of the old records that have not been looked at.
func (c *carrier) look(ctx context.Context) error {
	b, err := c.s.Log.Bounds(ctx)
	if err != nil {
		return err
	}
	c.due.Store(b.Last + max(1, b.MaxRecords/carryStep))
	if b.Old <= b.First {
		return nil
	}
	if c.next > 0 && c.next < b.First {
		slog.WarnContext(ctx, "the log dropped records of pending deliveries before their state was carried over: their attempts may start again", "records", b.First-c.next)
	}
	for c.next = max(c.next, b.First); c.next < b.Old; {
		began := c.next
		n, err := c.batch(ctx, b.Old)
		if err != nil {
			return err
		}
		c.looked, c.copied = c.looked+min(c.next, b.Old)-began, c.copied+n
	}
	if most := cmp.Or(b.MaxRecords, carryJudged); c.looked >= most {
		c.choose(ctx)
	}
	return nil
}

// batch copies what is to be kept of the next records before a sequence, and returns how many those are.
func (c *carrier) batch(ctx context.Context, before uint64) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, carryCall)
	defer cancel()
	found, next, err := c.s.Log.Retrying(ctx, c.next, before, carryBatch)
	if err != nil {
		return 0, err
	}
	if len(found) == 0 {
		c.next = next
		return 0, nil
	}
	events, err := c.s.Bus.StreamUsage(ctx)
	if err != nil {
		return 0, err
	}
	open := slices.DeleteFunc(found, func(r bus.StoredRecord) bool {
		_, known := c.s.Config.Recipient(r.Recipient)
		// Without its event a delivery can't be tried any more. What the index knows the broker need not be asked.
		return !known || r.Record.Sequence < events.First || c.s.index.Followed(r.Sequence)
	})
	n, err := c.s.Log.Carry(ctx, open)
	if err == nil {
		c.next = next
	}
	return n, err
}

// judge warns, once, if the log holds little but copies.
func (c *carrier) choose(ctx context.Context) {
	small := c.copied > c.looked/2
	if small && !c.small {
		slog.WarnContext(ctx, "pending deliveries fill most of the delivery log: raise streams.historyMaxRecords and historyMaxBytes", "looked", c.looked, "copied", c.copied)
	}
	c.small, c.looked, c.copied = small, 0, 0
}

// say logs an error once, until there is another or none.
func (c *carrier) say(ctx context.Context, err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != "" && text != c.said && ctx.Err() == nil {
		slog.WarnContext(ctx, "state of pending deliveries not carried over in the log, retrying", "error", text)
	}
	c.said = text
}
