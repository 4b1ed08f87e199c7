package control

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/outbound-events/outbound/pkg/bus/internal/names"
	"github.com/outbound-events/outbound/pkg/bus/internal/wire"
	"github.com/outbound-events/outbound/pkg/delivery/numbering"
	"github.com/outbound-events/outbound/pkg/recipient"
)

// prefixNumbers begins the keys of the checkpoints of numbers in the bucket of statuses.
const prefixNumbers = prefixMark + "numbers."

// numbersFresh is how long a checkpoint of numbers keeps EVENTS from being purged behind it, after it was last written. The senders write
// one more often, so that an older one is of a channel that has none: it must not have EVENTS fill up for the others. What is purged then
// counts as selected by all.
const numbersFresh = time.Minute

// NumberStore keeps the checkpoints of the numbers of deliveries, in the bucket of statuses.
type NumberStore struct{ conn *wire.Conn }

// NewNumberStore reads and writes through a connection.
func NewNumberStore(c *wire.Conn) NumberStore { return NumberStore{conn: c} }

// Checkpoint is what the senders of a channel have counted, and the revision of its key; 0: there is none.
func (c NumberStore) Checkpoint(ctx context.Context, ch recipient.Channel) (numbering.Checkpoint, uint64, error) {
	out, e, err := c.read(ctx, ch)
	return out, e.Revision, err
}

func (c NumberStore) read(ctx context.Context, ch recipient.Channel) (out numbering.Checkpoint, e wire.Entry, err error) {
	b, err := c.conn.Bucket(ctx, names.BucketStatus)
	if err != nil {
		return out, e, err
	}
	e, err = b.Get(ctx, prefixNumbers+string(ch))
	if errors.Is(err, wire.ErrNotFound) {
		return out, wire.Entry{}, nil
	}
	if err != nil {
		return out, e, err
	}
	out, err = numbering.DecodeCheckpoint(e.Value)
	return out, e, err
}

// Put writes what was counted, if the key's last revision is the one named, 0 for a new one: else wire.ErrConflict.
func (c NumberStore) Put(ctx context.Context, ch recipient.Channel, p numbering.Checkpoint, revision uint64) (uint64, error) {
	b, err := c.conn.Bucket(ctx, names.BucketStatus)
	if err != nil {
		return 0, err
	}
	value, err := p.Encode()
	if err == nil {
		// Else a start after a power loss would find that EVENTS has lost its end.
		err = c.conn.Synced(names.StreamEvents, p.Through)
	}
	if err != nil {
		return 0, fmt.Errorf("store the numbers of channel %s: %w", ch, err)
	}
	if revision == 0 {
		revision, err = b.Create(ctx, prefixNumbers+string(ch), value)
	} else {
		revision, err = b.Update(ctx, prefixNumbers+string(ch), value, revision)
	}
	if errors.Is(err, wire.ErrExists) {
		err = fmt.Errorf("%w: %w", wire.ErrConflict, err)
	}
	return revision, err
}

// lowest is the last sequence of EVENTS that the senders of some channels do not need any more to go on counting; ok is false if
// nothing is counted.
func (c NumberStore) lowest(ctx context.Context, channels map[recipient.Channel]bool) (lowest uint64, ok bool, err error) {
	for ch := range channels {
		p, e, err := c.read(ctx, ch)
		if err != nil {
			return 0, false, err
		}
		if e.Revision == 0 || c.conn.Now().Sub(e.Time) > numbersFresh {
			continue
		}
		if err := c.conn.Synced(wire.BucketStream(names.BucketStatus), e.Revision); err != nil {
			return 0, false, fmt.Errorf("store the numbers of channel %s: %w", ch, err)
		}
		if !ok || p.Through < lowest {
			lowest, ok = p.Through, true
		}
	}
	return lowest, ok, nil
}

// channelOf is the channel of a recipient's consumer.
func channelOf(consumer string) recipient.Channel {
	ch, _, _ := strings.Cut(consumer, "-")
	return recipient.Channel(ch)
}
