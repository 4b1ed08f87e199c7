package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/bus/internal/names"
	"github.com/outbound-events/outbound/pkg/bus/internal/wire"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/recipient"
)

// Delayed finds the messages of a recipient that wait for their next attempt. What it has read of the log it remembers, so that asking
// again costs what was recorded meanwhile. One goroutine at a time may use it.
type Delayed struct {
	conn *wire.Conn
	ch   recipient.Channel
	id   string
	// read is the last sequence of HISTORY that was read.
	read uint64
	// next is when the next attempt is due, by the message's sequence in EVENTS, where that is still to come.
	next map[uint64]time.Time
}

// NewDelayed looks at a recipient's queue through a connection.
func NewDelayed(c *wire.Conn, ch recipient.Channel, id string) *Delayed {
	return &Delayed{conn: c, ch: ch, id: id, next: map[uint64]time.Time{}}
}

// readAtOnce is how many records are read with one request.
const readAtOnce = 1_000

// clockSkew is how much the times of two streams may differ whose leaders are two servers.
const clockSkew = time.Minute

// Expedite has what waits for its next attempt handed out at once, as far as its event stands at a sequence of EVENTS or before it,
// and wakes the senders. It is for deliveries that end without one; they would else wait for it. A sender that does not know
// yet puts them back, so it is said again until the queue is empty. It returns how many messages that were.
func (d *Delayed) Expedite(ctx context.Context, through uint64) (int, error) {
	sequences, err := d.waiting(ctx, through)
	if err != nil {
		return 0, fmt.Errorf("read pending deliveries of recipient %s: %w", d.id, err)
	}
	if err := New(d.conn).Expedite(d.ch, d.id, nil); err != nil {
		return 0, err
	}
	if len(sequences) == 0 {
		return 0, nil
	}
	return len(sequences), New(d.conn).RedeliverNow(ctx, d.ch, d.id, sequences)
}

// waiting are the messages that are out and in no sender's hands, up to a sequence of EVENTS.
func (d *Delayed) waiting(ctx context.Context, through uint64) (out []uint64, err error) {
	co, err := d.conn.JS.Consumer(ctx, names.StreamEvents, names.ConsumerName(d.ch, d.id))
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	i := co.CachedInfo()
	if i.NumAckPending == 0 {
		return nil, nil
	}
	first := max(i.AckFloor.Stream+1, i.Config.OptStartSeq)
	if err := d.catchUp(ctx, first); err != nil {
		return nil, err
	}
	soon := d.conn.Now().Add(Settled)
	maps.DeleteFunc(d.next, func(seq uint64, next time.Time) bool { return seq < first || !next.After(soon) })
	for seq := range d.next {
		if seq <= through {
			out = append(out, seq)
		}
	}
	return out, nil
}

// catchUp reads what the log says of failed attempts and was not read yet. At first that is what was recorded since the first event
// that may be out was stored.
func (d *Delayed) catchUp(ctx context.Context, first uint64) error {
	until, err := deliverylog.NewReader(d.conn).LastSequence(ctx)
	if err != nil {
		return err
	}
	if d.read == 0 || until < d.read {
		// The log that is shorter than what was read has lost its end.
		clear(d.next)
		if d.read, err = d.begin(ctx, first, until); err != nil {
			return err
		}
	}
	failed := deliverylog.AttemptFilter{Recipient: d.id, State: delivery.StateRetrying}.Subject()
	for d.read < until {
		ms, err := d.conn.Direct(ctx, names.StreamHistory, wire.DirectRequest{Sequence: d.read + 1, NextFor: failed, Batch: readAtOnce})
		if err != nil {
			return err
		}
		if len(ms) == 0 {
			d.read = until
			return nil
		}
		if err := d.note(ms); err != nil {
			return err
		}
		d.read = wire.StoredSequence(ms[len(ms)-1])
	}
	return nil
}

// begin is the last record that can't be about an event of EVENTS from a sequence on, because it was stored before.
func (d *Delayed) begin(ctx context.Context, first, until uint64) (uint64, error) {
	ms, err := d.conn.Direct(ctx, names.StreamEvents, wire.DirectRequest{Sequence: first, NextFor: ">"})
	if err != nil || len(ms) == 0 {
		return until, err
	}
	at, ok, err := d.conn.SequenceAt(ctx, names.StreamHistory, wire.StoredTime(ms[0]).Add(-clockSkew))
	if err != nil || !ok {
		return until, err
	}
	return at - 1, nil
}

// note takes over what records say, in the order of the log: a later one of a delivery stands.
func (d *Delayed) note(ms []*nats.Msg) error {
	for _, m := range ms {
		var rec struct {
			Sequence    uint64    `json:"sequence"`
			NextAttempt time.Time `json:"nextAttemptTime"`
		}
		if err := json.Unmarshal(m.Data, &rec); err != nil {
			return fmt.Errorf("decode record %s: %w", wire.StoredSubject(m), err)
		}
		d.next[rec.Sequence] = rec.NextAttempt
	}
	return nil
}
