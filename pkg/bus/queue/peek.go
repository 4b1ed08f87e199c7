package queue

import (
	"context"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/outbound-events/outbound/pkg/bus/internal/names"
	"github.com/outbound-events/outbound/pkg/bus/internal/wire"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/recipient"
)

// Stored is a message as it stands in EVENTS. It was not handed out and can't be settled.
type Stored struct {
	delivery.Message
	subject string
}

// For reports whether a recipient's queue gets the message.
func (m Stored) For(r *recipient.Recipient) bool {
	for _, f := range names.FilterSubjects(r) {
		if f == m.subject {
			return true
		}
		if before, after, wild := strings.Cut(f, "*"); wild && strings.HasPrefix(m.subject, before) && strings.HasSuffix(m.subject, after) {
			return true
		}
	}
	return false
}

// Peek reads messages of EVENTS from a sequence on, in the order of the stream, at most limit, whoever has them in hand.
func (q *Queue) Peek(ctx context.Context, from uint64, limit int) ([]Stored, error) {
	ms, err := q.conn.Direct(ctx, names.StreamEvents, wire.DirectRequest{Sequence: max(from, 1), NextFor: ">", Batch: limit})
	if err != nil {
		return nil, fmt.Errorf("read messages from %d on: %w", from, err)
	}
	out := make([]Stored, 0, len(ms))
	for _, m := range ms {
		out = append(out, stored(m))
	}
	return out, nil
}

func stored(m *nats.Msg) Stored {
	s := Stored{Message: headed(m), subject: wire.StoredSubject(m)}
	s.Sequence, s.Stored = wire.StoredSequence(m), wire.StoredTime(m)
	e, violations := event.Decode(m.Data)
	if len(violations) > 0 {
		s.Unreadable = fmt.Errorf("decode event at sequence %d: %w", s.Sequence, violations)
		return s
	}
	s.Event = e
	return s
}
