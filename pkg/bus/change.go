package bus

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

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
	tail := strings.Join([]string{rec.Type, token(rec.Session), hashToken(rec.ExternalKey), rec.Appliance, deliveryToken(rec.EventID, rec.ReplayID)}, ".")
	m := nats.NewMsg(subjectAttempt + "." + rec.Recipient + "." + string(rec.State) + "." + tail)
	m.Header.Set(headerMsgID, deliveryKey(rec)+":"+what+":"+strconv.FormatUint(after, 10))
	m.Header.Set(headerRecord, attemptHeader(rec))
	if rec.Carried != nil {
		m.Header.Set(headerCarried, "1")
	}
	m.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(after, 10))
	m.Header.Set("Nats-Expected-Last-Subject-Sequence-Subject", subjectAttempt+"."+rec.Recipient+".*."+tail)
	var err error
	if m.Data, err = rec.JSON(); err != nil {
		return nil, fmt.Errorf("encode a record of %s: %w", deliveryKey(rec), err)
	}
	return m, nil
}

// HandOutNow has messages of a recipient that wait for a delay handed out at once.
func (c *Conn) HandOutNow(ctx context.Context, ch recipient.Channel, id string, sequences []uint64) error {
	return c.settleBySequence(ctx, ConsumerName(ch, id), atOnce, sequences)
}

// Finish ends messages of a recipient that wait for a delay, because their deliveries are recorded as final.
func (c *Conn) Finish(ctx context.Context, ch recipient.Channel, id string, sequences []uint64) error {
	return c.settleBySequence(ctx, ConsumerName(ch, id), "+ACK", sequences)
}

// Settled is how far in the future an attempt must be for its message to wait for a delay, in no sender's hands. Clocks may
// differ by as much.
const Settled = 2 * time.Second

// Wake asks the senders of a channel to try a recipient at once though it fails all the time.
func (c *Conn) Wake(ch recipient.Channel, id string) error {
	if err := c.nc.Publish(subjectWake+"."+string(ch), []byte(id)); err != nil {
		return fmt.Errorf("wake the senders of %s: %w", id, err)
	}
	return nil
}

// Wakes calls f for each Wake of a channel, until stop is called. See delivery.Queue.
func (q *Queue) Wakes(ch recipient.Channel, f func(id string)) (stop func(), err error) {
	sub, err := q.conn.nc.Subscribe(subjectWake+"."+string(ch), func(m *nats.Msg) { f(string(m.Data)) })
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", subjectWake, err)
	}
	return func() { _ = sub.Unsubscribe() }, nil
}
