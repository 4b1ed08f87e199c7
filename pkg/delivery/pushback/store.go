package pushback

import (
	"context"
	"time"

	"github.com/outbound-events/outbound/pkg/recipient"
)

// Pause is a pause that a recipient asked for, as all senders know it and as it outlives them.
type Pause struct {
	// Until is when it ends, by the broker's clock.
	Until time.Time `json:"until"`
	// Start and Revision are those of the recipient that asked: a pause ends when the recipient is changed.
	Start    uint64 `json:"start"`
	Revision uint64 `json:"revision"`
}

// Of reports whether a pause holds for a recipient as it is now.
func (p Pause) Of(r *recipient.Recipient) bool {
	return p.Start == r.StartSequence && p.Revision >= r.Revision
}

// Store keeps the pauses that senders share.
type Store interface {
	// Watch tells every pause of a channel, calls complete, and then tells each change, until ctx ends or it fails. A pause that was
	// removed is the zero value.
	Watch(ctx context.Context, ch recipient.Channel, complete func(), tell func(id string, p Pause)) error
	// Put stores a pause. The last one counts.
	Put(ctx context.Context, ch recipient.Channel, id string, p Pause) error
	// Remove removes one.
	Remove(ctx context.Context, ch recipient.Channel, id string) error
}
