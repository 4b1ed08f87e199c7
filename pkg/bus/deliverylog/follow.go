package deliverylog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/outbound-events/outbound/pkg/bus/internal/names"
	"github.com/outbound-events/outbound/pkg/bus/internal/wire"
	"github.com/outbound-events/outbound/pkg/delivery/chain"
	"github.com/outbound-events/outbound/pkg/logkey"
	"github.com/outbound-events/outbound/pkg/telemetry"
)

const (
	// followBatch is how many records are asked for at once.
	followBatch = 2_000
	// followTick is the pause between two looks for new records: some at once cost less than each by itself, very many would
	// hold up what goes on beside. Where nothing happens, the next record is waited for, followWait at a time.
	followTick = 25 * time.Millisecond
	followWait = 2 * time.Second
	// followPause is the pause before a broken consumer is made again.
	followPause = 500 * time.Millisecond
	// followIdle is how long the broker keeps a consumer that nobody asks any more.
	followIdle = time.Minute
)

// Follower is told of records as they were stored. Its functions are called one at a time.
type Follower struct {
	// Since is the time from which on records are told; Newest how many of the newest are told in any case.
	Since  time.Time
	Newest uint64
	// Notify is told each record once, in the order of the log.
	Notify func(RecordHeader)
	// CaughtUp is called whenever all that is stored has been told.
	CaughtUp func()
	// Again is called if the log is not the one any more that was told: its end was lost with a broker's disk, and its sequences
	// may be used again. All is told anew then.
	Again func()
}

// Follow tells a follower of all records, and goes on with those to come until ctx ends. The broker may come and go meanwhile.
func (h *Reader) Follow(ctx context.Context, to Follower) {
	f := &following{conn: h.conn, to: to}
	for said := ""; ctx.Err() == nil; {
		err := f.once(ctx)
		if ctx.Err() != nil {
			break
		}
		if text := fmt.Sprint(err); text != said {
			h.conn.Logger.Warn("following the records failed, retrying", telemetry.KeyError, text)
			said = text
		}
		select {
		case <-ctx.Done():
		case <-time.After(followPause):
		}
	}
}

type following struct {
	conn *wire.Conn
	to   Follower
	// last is the last sequence of HISTORY that was told, at when it was stored.
	last uint64
	at   time.Time
}

var errGap = errors.New("records were lost in transit")

// once follows by one consumer until that is of no use any more. The consumer does not wait for acknowledgements, so what got lost
// with a connection is found by the gap in its count, and is told by the next one.
func (f *following) once(ctx context.Context) error {
	connects := f.conn.Connects()
	start, err := f.start(ctx)
	if err != nil {
		return fmt.Errorf("follow the records: %w", err)
	}
	config := jetstream.ConsumerConfig{
		HeadersOnly: true, AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, Replicas: 1, InactiveThreshold: followIdle,
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: start,
	}
	c, err := f.conn.JS.CreateConsumer(ctx, names.StreamHistory, config)
	if err != nil {
		return fmt.Errorf("follow the records: %w", err)
	}
	defer func() {
		away, cancel := context.WithTimeout(context.WithoutCancel(ctx), followPause)
		defer cancel()
		// If it fails the broker drops it by itself.
		_ = f.conn.JS.DeleteConsumer(away, names.StreamHistory, c.CachedInfo().Name)
	}()
	if c.CachedInfo().NumPending == 0 {
		f.to.CaughtUp()
	}
	tick := time.NewTicker(followTick)
	defer tick.Stop()
	quiet := false
	for count := uint64(0); ctx.Err() == nil; {
		if f.conn.Connects() != connects {
			return errors.New("the connection was replaced")
		}
		n, err := f.batch(ctx, c, count, quiet)
		if err != nil {
			return err
		}
		if count += n; n == followBatch {
			continue
		}
		quiet = n == 0
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
	return nil
}

// start is the sequence to begin at: behind the last that was told, if the log is still the same.
func (f *following) start(ctx context.Context) (uint64, error) {
	s, err := f.conn.JS.Stream(ctx, names.StreamHistory)
	if err != nil {
		return 0, err
	}
	have := s.CachedInfo().State
	if f.last > 0 {
		ms, err := f.conn.Direct(ctx, names.StreamHistory, wire.DirectRequest{Sequence: f.last})
		if err != nil {
			return 0, err
		}
		gone := have.FirstSeq > f.last
		if gone || len(ms) == 1 && wire.StoredSequence(ms[0]) == f.last && wire.StoredTime(ms[0]).Equal(f.at) {
			return f.last + 1, nil
		}
		f.conn.Logger.Warn("the end of the delivery log is missing: reading it again", logkey.Told, f.last, logkey.Last, have.LastSeq)
		f.last = 0
		f.to.Again()
	}
	start := have.LastSeq + 1
	if at, ok, err := f.conn.SequenceAt(ctx, names.StreamHistory, f.to.Since); err != nil {
		return 0, err
	} else if ok {
		start = at
	}
	return max(1, min(start, have.LastSeq+1-min(f.to.Newest, have.LastSeq))), nil
}

// batch tells of what there is, at most followBatch, and returns how many that were. If it is quiet, it waits for the next one alone.
// count is how many the consumer has given before.
func (f *following) batch(ctx context.Context, c jetstream.Consumer, count uint64, quiet bool) (n uint64, err error) {
	var b jetstream.MessageBatch
	if quiet {
		ctx, cancel := context.WithTimeout(ctx, followWait)
		defer cancel()
		b, err = c.Fetch(1, jetstream.FetchContext(ctx))
	} else {
		b, err = c.FetchNoWait(followBatch)
	}
	if err != nil {
		return 0, fmt.Errorf("follow the records: %w", err)
	}
	for m := range b.Messages() {
		meta, err := m.Metadata()
		if err != nil {
			return n, fmt.Errorf("follow the records: %w", err)
		}
		if n++; meta.Sequence.Consumer != count+n {
			return n, errGap
		}
		f.last, f.at = meta.Sequence.Stream, meta.Timestamp
		if g, ok := recordHeaderOf(m.Subject(), m.Headers()); ok {
			g.Stored, g.Sequence, g.Subject = meta.Timestamp, meta.Sequence.Stream, m.Subject()
			g.Digest = m.Headers().Get(chain.HeaderDigest)
			f.to.Notify(g)
		}
		if meta.NumPending == 0 {
			f.to.CaughtUp()
		}
	}
	if err := b.Error(); err != nil && ctx.Err() == nil && !errors.Is(err, context.DeadlineExceeded) {
		return n, fmt.Errorf("follow the records: %w", err)
	}
	return n, nil
}
