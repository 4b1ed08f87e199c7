package configclient

import (
	"context"
	"time"

	"github.com/outbound-events/outbound/pkg/recipient"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// findWithin is how long Find waits for a recipient that the config service has and the stream has not brought yet.
const findWithin = 5 * time.Second

// Find is Recipient for callers who may have made the recipient a moment ago: if none is known, it asks the config service, and waits
// until the stream has brought what that has, 5 s at most. While the config service is away, what is known decides.
func (c *Client) Find(ctx context.Context, id string) (*recipient.Recipient, bool) {
	if r, ok := c.Recipient(id); ok {
		return r, true
	}
	ctx, cancel := context.WithTimeout(ctx, findWithin)
	defer cancel()
	if _, err := c.recipients.GetRecipient(ctx, &outboundv1.GetRecipientRequest{Id: id}); err != nil {
		return nil, false
	}
	for {
		c.mu.RLock()
		r, ok := c.shown[id]
		changed := c.changed
		c.mu.RUnlock()
		if ok {
			return r, true
		}
		select {
		case <-ctx.Done():
			return nil, false
		case <-changed:
		}
	}
}
