package bus

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go"

	"github.com/outbound-events/outbound/pkg/bus/internal/names"
	"github.com/outbound-events/outbound/pkg/bus/internal/wire"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/event"
)

// Publisher stores events and replays in EVENTS by group commit.
type Publisher struct {
	k *wire.Committer
}

// NewPublisher starts a publisher; Close ends it.
func NewPublisher(c *wire.Conn) *Publisher {
	return &Publisher{k: wire.NewCommitter(c, names.StreamEvents, wire.Events(), c.RepeatFor)}
}

// Close waits until everything handed over has its answer. If the broker gives none for 5 s, the rest is given up and counted in the
// log.
func (p *Publisher) Close() { p.k.Close() }

// Accept stores an event for all recipients that want it and returns once it is kept. A repeat within the stream's
// de-duplication window has the first one's receipt, marked as a duplicate. ErrFull: refused, nothing was stored.
func (p *Publisher) Accept(ctx context.Context, e *event.Event) (wire.Receipt, error) {
	return p.await(ctx, accepted(e), e.Key())
}

// AcceptAsync is Accept that does not wait: done is called once, when the result is known or given up, and must not block.
func (p *Publisher) AcceptAsync(ctx context.Context, e *event.Event, done func(wire.Receipt, error)) {
	m := accepted(e)
	wire.Inject(ctx, m)
	p.k.Publish(m, func(r wire.Receipt, err error) {
		if err != nil {
			err = fmt.Errorf("store %s: %w", e.Key(), err)
		}
		done(r, err)
	})
}

// accepted is the message of an event.
func accepted(e *event.Event) *nats.Msg {
	m := nats.NewMsg(names.EventSubject(e.Appliance, e.Type))
	wire.PutEvent(m, e)
	m.Header.Set(names.HeaderMsgID, e.Key())
	return m
}

// Replay says what a replay or test is stored as.
type Replay struct {
	// ID tells its deliveries from others of the same events.
	ID string
	// Actor is who asked for it.
	Actor string
	// Test marks a test.
	Test bool
	// Expedite says that somebody waits for it: it is attempted though its recipient fails all the time.
	Expedite bool
}

// Replay stores an event for one recipient again, under a replay id of its own. It returns once it is kept.
func (p *Publisher) Replay(ctx context.Context, recipientID string, e *event.Event, r Replay) (wire.Receipt, error) {
	m := nats.NewMsg(names.SubjectReplay + "." + recipientID)
	wire.PutEvent(m, e)
	key := delivery.Key(recipientID, e.Key(), r.ID)
	m.Header.Set(names.HeaderMsgID, key)
	m.Header.Set(names.HeaderReplay, r.ID)
	if r.Actor != "" {
		m.Header.Set(names.HeaderActor, r.Actor)
	}
	if r.Test {
		m.Header.Set(names.HeaderTest, "1")
	}
	if r.Expedite {
		m.Header.Set(names.HeaderExpedite, "1")
	}
	return p.await(ctx, m, key)
}

func (p *Publisher) await(ctx context.Context, m *nats.Msg, key string) (wire.Receipt, error) {
	wire.Inject(ctx, m)
	type result struct {
		r   wire.Receipt
		err error
	}
	ch := make(chan result, 1)
	p.k.Publish(m, func(r wire.Receipt, err error) { ch <- result{r, err} })
	select {
	case x := <-ch:
		if x.err != nil {
			return wire.Receipt{}, fmt.Errorf("store %s: %w", key, x.err)
		}
		return x.r, nil
	case <-ctx.Done():
		return wire.Receipt{}, fmt.Errorf("store %s: the result is unknown: %w", key, ctx.Err())
	}
}
