package bus

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/outbound-events/outbound/pkg/recipient"
)

// Head is where a recipient's queue begins.
type Head struct {
	// Waits is how many messages are in it, out or not.
	Waits uint64
	// AckFloor is the last sequence of EVENTS up to which everything is settled.
	AckFloor uint64
	// First is the sequence of the first message that is not; 0: there is none.
	First uint64
}

// Head looks up where a recipient's queue begins, or ErrNotFound.
func (c Control) Head(ctx context.Context, ch recipient.Channel, id string) (Head, error) {
	name := ConsumerName(ch, id)
	co, err := c.conn.js.Consumer(ctx, StreamEvents, name)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return Head{}, fmt.Errorf("look up consumer %s: %w", name, ErrNotFound)
	}
	if err != nil {
		return Head{}, fmt.Errorf("look up consumer %s: %w", name, err)
	}
	i := co.CachedInfo()
	h := Head{Waits: i.NumPending + uint64(max(i.NumAckPending, 0)), AckFloor: i.AckFloor.Stream}
	if h.Waits == 0 {
		return h, nil
	}
	filters := i.Config.FilterSubjects
	if i.Config.FilterSubject != "" {
		filters = []string{i.Config.FilterSubject}
	}
	for _, f := range filters {
		ms, err := c.conn.direct(ctx, StreamEvents, directRequest{Sequence: max(h.AckFloor+1, i.Config.OptStartSeq), NextFor: f})
		if err != nil {
			return h, err
		}
		if len(ms) == 1 && (h.First == 0 || storedSequence(ms[0]) < h.First) {
			h.First = storedSequence(ms[0])
		}
	}
	return h, nil
}

// AckFloors tells of each consumer of EVENTS, by name, the last sequence that it can no longer need, as far as EVENTS had come before.
func (c Control) AckFloors(ctx context.Context) (map[string]uint64, error) {
	s, err := c.conn.js.Stream(ctx, StreamEvents)
	if err != nil {
		return nil, fmt.Errorf("look up stream %s: %w", StreamEvents, err)
	}
	last := s.CachedInfo().State.LastSeq
	out := map[string]uint64{}
	l := s.ListConsumers(ctx)
	for i := range l.Info() {
		out[i.Name] = finished(i, last)
	}
	if l.Err() != nil {
		return nil, fmt.Errorf("list consumers of %s: %w", StreamEvents, l.Err())
	}
	return out, nil
}
