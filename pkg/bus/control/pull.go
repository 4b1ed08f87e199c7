package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/outbound-events/outbound/pkg/bus/internal/names"
	"github.com/outbound-events/outbound/pkg/bus/internal/wire"
	"github.com/outbound-events/outbound/pkg/recipient"
)

// PullQuestion asks an HTTP sender for deliveries of a recipient, as they would be sent.
type PullQuestion struct {
	Recipient string `json:"recipient"`
	// StartSequence and Revision say which state of the recipient is meant; the sender waits until it knows it.
	StartSequence uint64 `json:"startSequence"`
	Revision      uint64 `json:"revision"`
	// After is the number behind which they begin. Nil: they begin with the first that is not final, and leave out those that are.
	After *uint64 `json:"after,omitempty"`
	// Limit is how many are answered at most.
	Limit int `json:"limit"`
	// Within is how long the asker waits.
	Within time.Duration `json:"within"`
}

// PullAnswer is what a sender answers.
type PullAnswer struct {
	Deliveries []PulledDelivery `json:"deliveries"`
	// Cursor is the number up to which everything is final, Last the last number that was given.
	Cursor uint64 `json:"cursor"`
	Last   uint64 `json:"last"`
	// More says that others follow.
	More bool `json:"more,omitempty"`
}

// PulledDelivery is one delivery.
type PulledDelivery struct {
	Number    uint64 `json:"number"`
	EventID   string `json:"eventId"`
	Appliance string `json:"appliance"`
	Type      string `json:"type"`
	// State, Reason and Detail are those of its newest record; of one that has none and is not to be sent, those that it will have.
	State  string `json:"state"`
	Reason string `json:"reason,omitempty"`
	Detail string `json:"detail,omitempty"`
	// Accepted is when the event was accepted.
	Accepted time.Time `json:"acceptTime"`
	// Header and Body are those of its request: the body is compressed by gzip (RFC 1952). Body is nil if there is none.
	Header map[string]string `json:"header,omitempty"`
	Body   []byte            `json:"body,omitempty"`
	// Note says why there is no body.
	Note string `json:"note,omitempty"`
}

// AcknowledgeQuestion tells an HTTP sender that a recipient has its deliveries up to a number.
type AcknowledgeQuestion struct {
	Recipient     string `json:"recipient"`
	StartSequence uint64 `json:"startSequence"`
	Revision      uint64 `json:"revision"`
	Through       uint64 `json:"through"`
	// Actor is who says so.
	Actor  string        `json:"actor"`
	Within time.Duration `json:"within"`
}

// AcknowledgeAnswer is what came of it.
type AcknowledgeAnswer struct {
	// Ended is how many deliveries ended by it. Cursor and Last are those of a PullAnswer. If Through is greater than Last, nothing was done.
	Ended  int    `json:"ended"`
	Cursor uint64 `json:"cursor"`
	Last   uint64 `json:"last"`
}

// Pulls asks the HTTP senders on behalf of receivers that pull, and has them answer.
type Pulls struct{ Client }

// NewPulls asks and answers through a connection.
func NewPulls(c *wire.Conn) Pulls { return Pulls{New(c)} }

// Ask asks one of the HTTP senders for deliveries, as Client.AskDoctor asks.
func (p Pulls) Ask(ctx context.Context, q PullQuestion) (a PullAnswer, err error) {
	q.Within = within(ctx)
	err = p.ask(ctx, names.SubjectPull, q, &a)
	return a, err
}

// Acknowledge tells one of the HTTP senders what a recipient has, as Client.AskDoctor asks.
func (p Pulls) Acknowledge(ctx context.Context, q AcknowledgeQuestion) (a AcknowledgeAnswer, err error) {
	q.Within = within(ctx)
	err = p.ask(ctx, names.SubjectAcknowledge, q, &a)
	return a, err
}

// Serve answers receivers that ask, as Client.ServeDoctor answers.
func (p Pulls) Serve(ctx context.Context, answer func(context.Context, PullQuestion) (PullAnswer, error)) error {
	return serve(ctx, p.conn, names.SubjectPull, func(ctx context.Context, q PullQuestion) (PullAnswer, error) {
		ctx, cancel := context.WithTimeout(ctx, q.Within)
		defer cancel()
		return answer(ctx, q)
	})
}

// ServeAcknowledge answers receivers that acknowledge.
func (p Pulls) ServeAcknowledge(ctx context.Context, answer func(context.Context, AcknowledgeQuestion) (AcknowledgeAnswer, error)) error {
	return serve(ctx, p.conn, names.SubjectAcknowledge, func(ctx context.Context, q AcknowledgeQuestion) (AcknowledgeAnswer, error) {
		ctx, cancel := context.WithTimeout(ctx, q.Within)
		defer cancel()
		return answer(ctx, q)
	})
}

// prefixPulled begins the keys of what receivers have acknowledged, in the bucket of statuses.
const prefixPulled = prefixMark + "pulled."

// PulledMark is up to where a receiver has acknowledged what it has pulled.
type PulledMark struct {
	// Number is the delivery's, Sequence where its event stands in EVENTS.
	Number   uint64 `json:"number"`
	Sequence uint64 `json:"sequence"`
	// Start is the recipient's StartSequence: another recipient of the same id has acknowledged nothing.
	Start uint64 `json:"start"`
}

// PulledMarks keeps up to where receivers have acknowledged, in the bucket of statuses.
type PulledMarks struct{ conn *wire.Conn }

// NewPulledMarks opens them. The bucket is looked up at each call, so it may still be missing.
func NewPulledMarks(c *wire.Conn) PulledMarks { return PulledMarks{conn: c} }

func pulledKey(ch recipient.Channel, id string) string { return prefixPulled + string(ch) + "." + id }

// Get is the mark of a recipient; zero if it has none.
func (s PulledMarks) Get(ctx context.Context, r *recipient.Recipient) (PulledMark, error) {
	m, _, err := s.get(ctx, r)
	return m, err
}

func (s PulledMarks) get(ctx context.Context, r *recipient.Recipient) (m PulledMark, revision uint64, err error) {
	b, err := s.conn.Bucket(ctx, names.BucketStatus)
	if err != nil {
		return m, 0, err
	}
	e, err := b.Get(ctx, pulledKey(r.Channel(), r.ID))
	if errors.Is(err, wire.ErrNotFound) {
		return m, 0, nil
	}
	if err != nil {
		return m, 0, err
	}
	if json.Unmarshal(e.Value, &m) != nil || m.Start != r.StartSequence {
		m = PulledMark{} // one that can't be read counts as none, and is written over
	}
	return m, e.Revision, nil
}

// Advance moves the mark of a recipient forward, never back.
func (s PulledMarks) Advance(ctx context.Context, r *recipient.Recipient, to PulledMark) error {
	to.Start = r.StartSequence
	value, err := json.Marshal(to)
	if err != nil {
		return fmt.Errorf("encode what recipient %s has acknowledged: %w", r.ID, err)
	}
	for {
		m, revision, err := s.get(ctx, r)
		if err != nil || m.Number >= to.Number {
			return err
		}
		b, err := s.conn.Bucket(ctx, names.BucketStatus)
		if err != nil {
			return err
		}
		if revision == 0 {
			_, err = b.Create(ctx, pulledKey(r.Channel(), r.ID), value)
		} else {
			_, err = b.Update(ctx, pulledKey(r.Channel(), r.ID), value, revision)
		}
		if !errors.Is(err, wire.ErrConflict) && !errors.Is(err, wire.ErrExists) {
			return err
		}
	}
}

// Watch tells every mark of a channel and then each change, until ctx ends; one goroutine calls tell. An error says why it ended earlier:
// it is to be called again.
func (s PulledMarks) Watch(ctx context.Context, ch recipient.Channel, tell func(id string, m PulledMark)) error {
	return watchStatus(ctx, s.conn, statusWatch{keys: pulledKey(ch, ">"), tell: func(e jetstream.KeyValueEntry) {
		var m PulledMark
		if e.Operation() == jetstream.KeyValuePut && json.Unmarshal(e.Value(), &m) != nil {
			m = PulledMark{}
		}
		tell(strings.TrimPrefix(e.Key(), pulledKey(ch, "")), m)
	}})
}
