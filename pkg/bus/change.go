package bus

import (
	"context"
	"encoding/json"
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
	tail := strings.Join([]string{rec.Type, token(rec.Session), hashToken(rec.ExternalKey), rec.Appliance, deliveryToken(rec.EventID, rec.ReplayID)}, ".")
	m := nats.NewMsg(subjectAttempt + "." + rec.Recipient + "." + string(rec.State) + "." + tail)
	key := delivery.Key(rec.Recipient, event.Key(rec.Appliance, rec.EventID), rec.ReplayID)
	m.Header.Set(headerMsgID, key+":"+string(rec.Reason)+":"+strconv.FormatUint(after, 10))
	m.Header.Set(headerRecord, attemptHeader(rec))
	m.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(after, 10))
	m.Header.Set("Nats-Expected-Last-Subject-Sequence-Subject", subjectAttempt+"."+rec.Recipient+".*."+tail)
	data, err := json.Marshal(rec)
	if err != nil {
		return fmt.Errorf("encode a change of %s: %w", key, err)
	}
	m.Data = data
	_, err = h.conn.js.PublishMsg(ctx, m)
	switch {
	case wrongSequence(err):
		return fmt.Errorf("record a change of %s: %w", key, ErrConflict)
	case err != nil:
		return fmt.Errorf("record a change of %s: %w", key, err)
	default:
		return nil
	}
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
