// Package carry keeps the state of open deliveries in the log of deliveries, which drops its oldest records.
package carry

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/configclient"
	"github.com/outbound-events/outbound/pkg/logkey"
	"github.com/outbound-events/outbound/pkg/telemetry"
	"github.com/outbound-events/outbound/services/history/internal/index"
)

const (
	// tick is the longest pause between two checks of the log's bounds.
	tick = 2 * time.Second
	// step is the share of the log, one in step of its records, after which its bounds are checked earlier.
	step = 50
	// batchSize is how many records are read together.
	batchSize = 500
	// batchTimeout bounds the work on one batch.
	batchTimeout = 30 * time.Second
	// judgeAfter is how many records are read before judging whether the log is too small, if it has no bound of records.
	judgeAfter = 100_000
)

// Deps are what a carrier needs, all required.
type Deps struct {
	Bus    *bus.Conn
	Log    *deliverylog.Log
	Config *configclient.Client
	Index  *index.Index
	Logger *slog.Logger
}

// Carrier copies the newest record of a delivery that will be tried again to the end of the log before the log drops it. Several processes
// may do that at once: the second copy is refused.
type Carrier struct {
	Deps
	signal chan struct{}
	// due is the sequence of a record that wakes the carrier.
	due atomic.Uint64
	// next is the first sequence that has not been read; 0: unknown.
	next uint64
	// looked and copied count records since the size of the log was last judged; small says that it was too small.
	looked, copied uint64
	small          bool
	// logged is the last error that was logged.
	logged string
}

// New makes a carrier.
func New(deps Deps) *Carrier { return &Carrier{Deps: deps, signal: make(chan struct{}, 1)} }

// Stored notes that a record was stored.
func (c *Carrier) Stored(sequence uint64) {
	if sequence < c.due.Load() {
		return
	}
	select {
	case c.signal <- struct{}{}:
	default:
	}
}

// Run carries records until ctx ends.
func (c *Carrier) Run(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-c.Config.Ready():
	}
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		c.logOnce(ctx, c.look(ctx))
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-c.signal:
		}
	}
}

// look copies what must be kept of the old records that it has not read yet.
func (c *Carrier) look(ctx context.Context) error {
	b, err := c.Log.Bounds(ctx)
	if err != nil {
		return err
	}
	c.due.Store(b.Last + max(1, b.MaxRecords/step))
	if b.Old <= b.First {
		return nil
	}
	if c.next > 0 && c.next < b.First {
		c.Logger.WarnContext(ctx, "the log dropped records of pending deliveries before their state was carried over: their attempts may start "+
			"again", logkey.Records, b.First-c.next)
	}
	for c.next = max(c.next, b.First); c.next < b.Old; {
		began := c.next
		n, err := c.batch(ctx, b.Old)
		if err != nil {
			return err
		}
		c.looked, c.copied = c.looked+min(c.next, b.Old)-began, c.copied+n
	}
	if most := cmp.Or(b.MaxRecords, judgeAfter); c.looked >= most {
		c.judge(ctx)
	}
	return nil
}

// batch copies what must be kept of the next records before a sequence, and returns how many it copied.
func (c *Carrier) batch(ctx context.Context, before uint64) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, batchTimeout)
	defer cancel()
	found, next, err := c.Log.Retrying(ctx, c.next, before, batchSize)
	if err != nil {
		return 0, err
	}
	if len(found) == 0 {
		c.next = next
		return 0, nil
	}
	events, err := control.New(c.Bus).StreamState(ctx, bus.StreamEvents)
	if err != nil {
		return 0, err
	}
	open := slices.DeleteFunc(found, func(r deliverylog.StoredRecord) bool {
		_, known := c.Config.Recipient(r.Recipient)
		// Without its event a delivery can't be tried any more. The index saves questions to the broker.
		return !known || r.Record.Sequence < events.FirstSequence || c.Index.Followed(r.Sequence)
	})
	n, err := c.Log.Carry(ctx, open)
	if err == nil {
		c.next = next
	}
	return n, err
}

// judge warns once if most records of the log are copies.
func (c *Carrier) judge(ctx context.Context) {
	small := c.copied > c.looked/2
	if small && !c.small {
		c.Logger.WarnContext(ctx, "pending deliveries fill most of the delivery log: raise streams.historyMaxRecords and historyMaxBytes",
			logkey.Looked, c.looked, logkey.Copied, c.copied)
	}
	c.small, c.looked, c.copied = small, 0, 0
}

// logOnce logs an error once, until there is another or none.
func (c *Carrier) logOnce(ctx context.Context, err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != "" && text != c.logged && ctx.Err() == nil {
		c.Logger.WarnContext(ctx, "state of pending deliveries not carried over in the log, retrying", telemetry.KeyError, text)
	}
	c.logged = text
}
