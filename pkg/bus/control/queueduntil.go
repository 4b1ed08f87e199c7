package control

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/outbound-events/outbound/pkg/bus/internal/names"
	"github.com/outbound-events/outbound/pkg/bus/internal/wire"
	"github.com/outbound-events/outbound/pkg/recipient"
)

// countIdle is after which time the broker forgets a consumer that counted and could not be removed.
const countIdle = 10 * time.Second

// QueuedUntil returns how many messages of a recipient's queue were stored at or before a time: all of the queue less what was stored
// later. Later messages that are settled already, because they were delivered out of order, make it too low. It is ErrNotFound if the
// recipient has no queue.
func (c Client) QueuedUntil(ctx context.Context, ch recipient.Channel, id string, until time.Time) (uint64, error) {
	name := names.ConsumerName(ch, id)
	co, err := c.conn.JS.Consumer(ctx, names.StreamEvents, name)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return 0, fmt.Errorf("look up consumer %s: %w", name, wire.ErrNotFound)
	}
	if err != nil {
		return 0, fmt.Errorf("look up consumer %s: %w", name, err)
	}
	total := backlogOf(co.CachedInfo()).Total()
	if total == 0 {
		return 0, nil
	}
	after := until.Add(time.Nanosecond)
	count, err := c.conn.JS.CreateConsumer(ctx, names.StreamEvents, jetstream.ConsumerConfig{
		FilterSubjects: filtersOf(co.CachedInfo()), DeliverPolicy: jetstream.DeliverByStartTimePolicy, OptStartTime: &after,
		AckPolicy: jetstream.AckNonePolicy, HeadersOnly: true, MemoryStorage: true, Replicas: 1, InactiveThreshold: countIdle,
	})
	if err != nil {
		return 0, fmt.Errorf("count the queue of consumer %s: %w", name, err)
	}
	later := count.CachedInfo().NumPending
	// If it can't be removed, it ends by itself.
	_ = c.conn.JS.DeleteConsumer(ctx, names.StreamEvents, count.CachedInfo().Name)
	return total - min(later, total), nil
}
