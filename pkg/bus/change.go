package bus

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/recipient"
)

// AppendChange stores a record of what was done to a delivery by hand, unless the delivery's newest record is no longer the one at
// a sequence of HISTORY: ErrConflict. Nothing of what a sender records meanwhile is thus overwritten.
func (h *History) AppendChange(ctx context.Context, rec delivery.Record, after uint64) error {
	m, err := messageAfter(rec, after, string(rec.Reason))
	if err != nil {
		return err
	}
	if _, err = h.conn.js.PublishMsg(ctx, m); wrongSequence(err) {
		err = ErrConflict
	}
	if err != nil {
		return fmt.Errorf("record a change of %s: %w", deliveryKey(rec), err)
	}
	return nil
}

func deliveryKey(rec delivery.Record) string {
	return delivery.Key(rec.Recipient, event.Key(rec.Appliance, rec.EventID), rec.ReplayID)
}

// messageAfter is the message of a record that is stored only if the delivery's newest one is at a sequence. what tells it from others in
// its message id.
func messageAfter(rec delivery.Record, after uint64, what string) (*nats.Msg, error) {
	m := nats.NewMsg(attemptSubject(rec, string(rec.State)))
	m.Header.Set(headerMsgID, deliveryKey(rec)+":"+what+":"+strconv.FormatUint(after, 10))
	m.Header.Set(headerRecord, attemptHeader(rec))
	if rec.Carried != nil {
		m.Header.Set(headerCarried, "1")
	}
	compare(m, attemptSubject(rec, "*"), after)
	var err error
	if m.Data, err = rec.JSON(); err != nil {
		return nil, fmt.Errorf("encode a record of %s: %w", deliveryKey(rec), err)
	}
	return m, nil
}

// Settled is how far in the future an attempt must be for its message to wait for a delay, in no sender's hands. Clocks may
// differ by as much.
const Settled = 2 * time.Second

// headerSequences names the messages that senders are woken for.
const headerSequences = "Outbound-Sequences"

// maxExpedited is how many messages are named at once.
const maxExpedited = 500

// Expedite asks the senders of a channel to try a recipient at once though it fails all the time: the messages at some sequences of EVENTS,
// or whatever comes if there are none.
func (c *Conn) Expedite(ch recipient.Channel, id string, sequences []uint64) error {
	for first := true; first || len(sequences) > 0; first = false {
		part := sequences[:min(len(sequences), maxExpedited)]
		sequences = sequences[len(part):]
		m := nats.NewMsg(subjectExpedite + "." + string(ch))
		m.Data = []byte(id)
		if len(part) > 0 {
			m.Header.Set(headerSequences, strings.Trim(fmt.Sprint(part), "[]"))
		}
		if err := c.nc.PublishMsg(m); err != nil {
			return fmt.Errorf("notify the senders of %s: %w", id, err)
		}
	}
	return nil
}

// Expedited calls f for each Wake of a channel, until stop is called. See delivery.Queue.
func (q *Queue) Expedited(ch recipient.Channel, f func(id string, sequences []uint64)) (stop func(), err error) {
	sub, err := q.conn.nc.Subscribe(subjectExpedite+"."+string(ch), func(m *nats.Msg) {
		var sequences []uint64
		for _, text := range strings.Fields(m.Header.Get(headerSequences)) {
			if n, err := strconv.ParseUint(text, 10, 64); err == nil {
				sequences = append(sequences, n)
			}
		}
		f(string(m.Data), sequences)
	})
	if err != nil {
		return nil, fmt.Errorf("subscribe to %s: %w", subjectExpedite, err)
	}
	return func() { _ = sub.Unsubscribe() }, nil
}
