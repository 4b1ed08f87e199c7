package deliverylog

import (
	"context"
	"fmt"
	"strconv"
	"sync"

	"github.com/nats-io/nats.go"

	"github.com/outbound-events/outbound/pkg/bus/internal/names"
	"github.com/outbound-events/outbound/pkg/bus/internal/wire"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/chain"
	"github.com/outbound-events/outbound/pkg/event"
)

// AppendChange stores a record of what was done to a delivery by hand, unless the delivery's newest record is no longer the one at
// a sequence of HISTORY: ErrConflict. Nothing of what a sender records meanwhile is thus overwritten.
func (h *Log) AppendChange(ctx context.Context, rec delivery.Record, after uint64) error {
	m, err := messageAfter(rec, after, string(rec.Reason))
	if err != nil {
		return err
	}
	w := h.changes.take()
	w.Begin()
	w.Link(chain.Record{Subject: m.Subject, Header: m.Header, Data: m.Data})
	ack, err := h.conn.JS.PublishMsg(ctx, m)
	w.End([]bool{err == nil && !ack.Duplicate})
	h.changes.give(w)
	switch {
	case err == nil:
		err = h.conn.Synced(names.StreamHistory, ack.Sequence)
	case wire.WrongSequence(err):
		err = wire.ErrConflict
	}
	if err != nil {
		return fmt.Errorf("record a change of %s: %w", deliveryKey(rec), err)
	}
	return nil
}

// chains are those of changes that were made one after the other: changes that are made at once are in chains of their own.
type chains struct {
	mu   sync.Mutex
	free []*chain.Writer
}

func (c *chains) take() *chain.Writer {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(c.free)
	if n == 0 {
		return chain.NewWriter()
	}
	w := c.free[n-1]
	c.free = c.free[:n-1]
	return w
}

func (c *chains) give(w *chain.Writer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.free = append(c.free, w)
}

func deliveryKey(rec delivery.Record) string {
	return delivery.Key(rec.Recipient, event.Key(rec.Appliance, rec.EventID), rec.ReplayID)
}

// messageAfter is the message of a record that is stored only if the delivery's newest one is at a sequence. what tells it from others in
// its message id.
func messageAfter(rec delivery.Record, after uint64, what string) (*nats.Msg, error) {
	m := nats.NewMsg(attemptSubject(rec, string(rec.State)))
	m.Header.Set(names.HeaderMsgID, deliveryKey(rec)+":"+what+":"+strconv.FormatUint(after, 10))
	m.Header.Set(headerRecord, attemptHeader(rec))
	if rec.Carried != nil {
		m.Header.Set(headerCarried, "1")
	}
	wire.Compare(m, attemptSubject(rec, "*"), after)
	var err error
	if m.Data, err = rec.JSON(); err != nil {
		return nil, fmt.Errorf("encode a record of %s: %w", deliveryKey(rec), err)
	}
	return m, nil
}
