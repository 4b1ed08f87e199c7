package control

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/outbound-events/outbound/pkg/bus/internal/names"
	"github.com/outbound-events/outbound/pkg/recipient"
)

// purgeAbove is how full EVENTS is, as a part of its bound, before what is finished is purged: until then finished events
// are kept, so that they can be replayed.
const purgeAbove = 0.7

// deliveryLag is longer than a consumer takes to hear of a message that was stored.
const deliveryLag = time.Second

// PurgeFinished removes the beginning of EVENTS that every consumer has finished, if the stream is fuller than 70 %, and
// returns how many messages went. It is safe beside publishing and consuming. Events whose acceptance may have no record yet stay: it
// is made up for from them.
func (c Client) PurgeFinished(ctx context.Context) (uint64, error) {
	s, err := c.conn.JS.Stream(ctx, names.StreamEvents)
	if err != nil {
		return 0, fmt.Errorf("look up stream %s: %w", names.StreamEvents, err)
	}
	before := s.CachedInfo()
	if before.Config.MaxBytes <= 0 || float64(before.State.Bytes) < purgeAbove*float64(before.Config.MaxBytes) {
		return 0, nil
	}
	// The last sequence is read before the consumers, and these hear of a message a moment after it was stored: an empty queue
	// is finished up to there at least.
	select {
	case <-ctx.Done():
		return 0, fmt.Errorf("purge %s: %w", names.StreamEvents, ctx.Err())
	case <-time.After(deliveryLag):
	}
	return c.purgeThrough(ctx, s, before.State.LastSeq, nil)
}

// PurgeRecorded is PurgeFinished for a caller who has recorded how the deliveries of some consumers end, up to a sequence each, whoever
// has the messages in hand. through is a sequence that was stored more than a second ago; nothing behind it is removed.
func (c Client) PurgeRecorded(ctx context.Context, through uint64, recorded map[string]uint64) (uint64, error) {
	s, err := c.conn.JS.Stream(ctx, names.StreamEvents)
	if err != nil {
		return 0, fmt.Errorf("look up stream %s: %w", names.StreamEvents, err)
	}
	return c.purgeThrough(ctx, s, through, recorded)
}

// purgeThrough removes what every consumer has finished of what stands at a sequence or before it.
func (c Client) purgeThrough(ctx context.Context, s jetstream.Stream, through uint64, ended map[string]uint64) (uint64, error) {
	done, first := through, s.CachedInfo().State.FirstSeq
	channels := map[recipient.Channel]bool{}
	err := queuesOf(ctx, s, func(i *jetstream.ConsumerInfo) {
		done = min(done, max(finished(i, through), ended[i.Name]))
		channels[channelOf(i.Name)] = true
	})
	if err != nil {
		return 0, err
	}
	recorded, ok, err := c.lowestIntake(ctx)
	if err != nil {
		return 0, err
	}
	if ok {
		done = min(done, recorded)
	}
	if recorded, ok, err = NewNumberStore(c.conn).lowest(ctx, channels); err != nil {
		return 0, err
	} else if ok {
		done = min(done, recorded)
	}
	if done < first {
		return 0, nil
	}
	if err := s.Purge(ctx, jetstream.WithPurgeSequence(done+1)); err != nil {
		return 0, fmt.Errorf("purge %s up to %d: %w", names.StreamEvents, done, err)
	}
	return done - first + 1, nil
}

// finished is the last sequence that a consumer can no longer need. Its ack floor stays where it is while its filter
// matches nothing, so an empty queue counts by the stream's last sequence.
func finished(i *jetstream.ConsumerInfo, last uint64) uint64 {
	if i.NumPending == 0 && i.NumAckPending == 0 {
		return max(last, i.Delivered.Stream)
	}
	return i.AckFloor.Stream
}

// AckFloors tells of each consumer of EVENTS, by name, the last sequence that it can no longer need, as far as EVENTS had come before.
func (c Client) AckFloors(ctx context.Context) (map[string]uint64, error) {
	s, err := c.conn.JS.Stream(ctx, names.StreamEvents)
	if err != nil {
		return nil, fmt.Errorf("look up stream %s: %w", names.StreamEvents, err)
	}
	last := s.CachedInfo().State.LastSeq
	out := map[string]uint64{}
	err = queuesOf(ctx, s, func(i *jetstream.ConsumerInfo) { out[i.Name] = finished(i, last) })
	if err != nil {
		return nil, err
	}
	return out, nil
}
