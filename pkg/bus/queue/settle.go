package queue

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/outbound-events/outbound/pkg/bus/internal/names"
	"github.com/outbound-events/outbound/pkg/bus/internal/wire"
	"github.com/outbound-events/outbound/pkg/recipient"
)

// settler settles one message of a consumer. This file is the only place that acknowledges. The calls are not confirmed:
// one that is lost has the message handed out again, and the delivery log decides then what it comes to.
type settler struct {
	m  *nats.Msg
	nc *nats.Conn
}

// Ack ends the message.
func (s *settler) Ack() error { return s.say(ack) }

// NakWithDelay has the message handed out again after a wait. The wait must be positive: 0 would mean at once, for ever.
func (s *settler) NakWithDelay(wait time.Duration) error {
	return s.say(fmt.Sprintf(`-NAK {"delay": %d}`, max(wait, time.Millisecond).Nanoseconds()))
}

// Term ends a message that can't be read, with a reason for the broker's advisory.
func (s *settler) Term(reason string) error { return s.say("+TERM " + reason) }

// Touch says that the message is in hand: its ack wait begins again. The broker confirms it.
func (s *settler) Touch(ctx context.Context) error {
	if _, err := s.nc.RequestWithContext(ctx, s.m.Reply, []byte("+WPI")); err != nil {
		return fmt.Errorf("keep message %s in hand: %w", s.m.Reply, err)
	}
	return nil
}

// ack ends a message.
const ack = "+ACK"

// atOnce is the shortest delay, for what is to be handed out again now.
const atOnce = `-NAK {"delay": 1000000}`

// RedeliverNow has messages of a recipient that wait for a delay handed out at once.
func (q *Queue) RedeliverNow(ctx context.Context, ch recipient.Channel, id string, sequences []uint64) error {
	return q.settleBySequence(ctx, names.ConsumerName(ch, id), atOnce, sequences)
}

// AckBySequence ends messages of a recipient that wait for a delay, because their deliveries are recorded as final.
func (q *Queue) AckBySequence(ctx context.Context, ch recipient.Channel, id string, sequences []uint64) error {
	return q.settleBySequence(ctx, names.ConsumerName(ch, id), ack, sequences)
}

// settleBySequence says the same about messages of a consumer that are out, by their stream sequences: the broker finds what is
// out by the sequence alone, wherever it was handed out. Of one that is not out nothing comes. It must not be said of a message
// that a sender has in hand.
func (q *Queue) settleBySequence(ctx context.Context, consumer, verb string, sequences []uint64) error {
	ctx, cancel := context.WithTimeout(ctx, wire.AckTimeout)
	defer cancel()
	co, err := q.conn.JS.Consumer(ctx, names.StreamEvents, consumer)
	if err != nil {
		return fmt.Errorf("look up consumer %s: %w", consumer, err)
	}
	// The broker refuses what names a delivery that it has not made, or one before its floor.
	given := strconv.FormatUint(co.CachedInfo().Delivered.Consumer, 10)
	for _, seq := range sequences {
		subject := "$JS.ACK." + names.StreamEvents + "." + consumer + ".2." + strconv.FormatUint(seq, 10) + "." + given + ".0.0"
		if err := q.conn.NC.Publish(subject, []byte(verb)); err != nil {
			return fmt.Errorf("settle sequence %d of consumer %s: %w", seq, consumer, err)
		}
	}
	if err := q.conn.NC.FlushWithContext(ctx); err != nil {
		return fmt.Errorf("settle %d messages of consumer %s: %w", len(sequences), consumer, err)
	}
	return nil
}

func (s *settler) say(verb string) error {
	if err := s.m.Respond([]byte(verb)); err != nil {
		return fmt.Errorf("settle message %s: %w", s.m.Reply, err)
	}
	return nil
}
