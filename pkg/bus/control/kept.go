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

// Queue is a consumer, as far as it must not be deleted by mistake.
type Queue struct {
	// Messages wait for the recipient or are not settled.
	Messages uint64
	// Start is the sequence of EVENTS with which it began, Created when it was made, by the broker's clock.
	Start   uint64
	Created time.Time
}

// Queue looks a recipient's consumer up, or ErrNotFound.
func (c Client) Queue(ctx context.Context, ch recipient.Channel, id string) (Queue, error) {
	name := names.ConsumerName(ch, id)
	co, err := c.conn.JS.Consumer(ctx, names.StreamEvents, name)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		err = wire.ErrNotFound
	}
	if err != nil {
		return Queue{}, fmt.Errorf("look up consumer %s: %w", name, err)
	}
	i := co.CachedInfo()
	return Queue{Messages: backlogOf(i).Total(), Start: i.Config.OptStartSeq, Created: i.Created}, nil
}

// Reached is the highest sequence of EVENTS that a consumer has given out, which may be beyond the stream's end if that was lost.
func (c Client) Reached(ctx context.Context) (last uint64, err error) {
	err = c.eachConsumer(ctx, func(i *jetstream.ConsumerInfo) { last = max(last, i.Delivered.Stream, i.AckFloor.Stream) })
	return last, err
}

// Settled tells of each consumer of EVENTS, by name, the sequence up to which everything is settled, whether its queue is empty or not.
func (c Client) Settled(ctx context.Context) (map[string]uint64, error) {
	out := map[string]uint64{}
	err := c.eachConsumer(ctx, func(i *jetstream.ConsumerInfo) { out[i.Name] = i.AckFloor.Stream })
	return out, err
}

func (c Client) eachConsumer(ctx context.Context, visit func(*jetstream.ConsumerInfo)) error {
	s, err := c.conn.JS.Stream(ctx, names.StreamEvents)
	if err != nil {
		return fmt.Errorf("look up stream %s: %w", names.StreamEvents, err)
	}
	return queuesOf(ctx, s, visit)
}

// queuesOf visits the consumers of EVENTS that are queues of recipients: durable ones. Senders have others, to count what there is.
func queuesOf(ctx context.Context, s jetstream.Stream, visit func(*jetstream.ConsumerInfo)) error {
	l := s.ListConsumers(ctx)
	for i := range l.Info() {
		if i.Config.Durable != "" {
			visit(i)
		}
	}
	if l.Err() != nil {
		return fmt.Errorf("list consumers of %s: %w", names.StreamEvents, l.Err())
	}
	return nil
}
