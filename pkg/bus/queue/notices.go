package queue

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/outbound-events/outbound/pkg/bus/internal/names"
	"github.com/outbound-events/outbound/pkg/bus/internal/wire"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/lease"
	"github.com/outbound-events/outbound/pkg/health"
)

// consumerNotices is the durable consumer that the email senders share.
// maxNoticesOut is how many notices may be out at once.
const maxNoticesOut = 3_000

const consumerNotices = "notices"

// Notices hands out the mails to contacts.
type Notices struct {
	r *requests
}

// Notice is a mail to a contact as the queue hands it out. It is settled once; unsettled, it is handed out again.
type Notice struct {
	health.Notice
	// Stored is when it was stored.
	Stored time.Time
	// Unreadable says why Notice is empty.
	Unreadable error
	Settler    delivery.Settler
	// Lease is for how long the notice is this sender's.
	Lease lease.Lease
}

// OpenNotices opens the queue of mails to contacts, and makes its consumer if it is missing. It fails while the stream is.
func OpenNotices(ctx context.Context, c *wire.Conn) (*Notices, error) {
	_, err := c.JS.CreateOrUpdateConsumer(ctx, names.StreamNotices, jetstream.ConsumerConfig{
		Durable: consumerNotices, Description: "alert emails", AckPolicy: jetstream.AckExplicitPolicy, AckWait: names.AckWait,
		MaxDeliver: -1, MaxAckPending: maxNoticesOut,
	})
	if err == nil && c.Disk != nil {
		err = c.Disk.SyncConsumer(names.StreamNotices, consumerNotices)
	}
	if err != nil {
		return nil, fmt.Errorf("create consumer %s: %w", consumerNotices, err)
	}
	r, err := open(ctx, c, names.StreamNotices, consumerNotices)
	if err != nil {
		return nil, err
	}
	return &Notices{r: r}, nil
}

// Pull asks for one notice and gives it to take, waiting for it for so long. An error means that the broker is away.
func (n *Notices) Pull(ctx context.Context, wait time.Duration, take func(Notice)) error {
	return n.r.pull(ctx, 1, wait, func(m *nats.Msg) {
		out := Notice{Settler: &settler{m: m, nc: n.r.conn.NC}, Lease: n.r.lease()}
		if meta, err := m.Metadata(); err == nil {
			out.Stored = meta.Timestamp
		}
		if err := json.Unmarshal(m.Data, &out.Notice); err != nil {
			out.Unreadable = fmt.Errorf("decode a notice: %w", err)
		}
		take(out)
	})
}

// Close ends the subscription and puts back what came after the last Pull.
func (n *Notices) Close() { n.r.Close() }
