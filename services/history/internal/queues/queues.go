// Package queues reads the queues of recipients.
package queues

import (
	"context"
	"errors"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/recipient"
)

// Reader reads the queues of recipients.
type Reader struct {
	conn *bus.Conn
	all  *control.Backlogs
}

// New makes a reader that asks the broker through a connection.
func New(conn *bus.Conn) *Reader { return &Reader{conn: conn, all: control.NewBacklogs(conn)} }

// Backlogs returns the queue of each recipient, in their order. It asks the broker once for all of them. A recipient without a consumer has
// an empty queue.
func (r *Reader) Backlogs(ctx context.Context, recipients []*recipient.Recipient) ([]control.Backlog, error) {
	out := make([]control.Backlog, len(recipients))
	if len(recipients) == 1 {
		b, err := control.New(r.conn).Backlog(ctx, recipients[0].Channel(), recipients[0].ID)
		if errors.Is(err, bus.ErrNotFound) {
			return out, nil
		}
		out[0] = b
		return out, err
	}
	all, err := r.all.All(ctx)
	for i, x := range recipients {
		out[i] = all.Of(x)
	}
	return out, err
}
