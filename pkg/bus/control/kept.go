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
