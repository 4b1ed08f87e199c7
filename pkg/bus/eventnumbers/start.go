package eventnumbers

import (
	"context"
	"slices"
	"sync"

	"github.com/outbound-events/outbound/pkg/bus/internal/wire"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/recipient"
)

// Start counts for the recipients of a channel until ctx ends, and as long as there is one. The function it returns waits for the end.
func Start(ctx context.Context, c *wire.Conn, ch recipient.Channel, recipients delivery.Directory) (*Numbers, func()) {
	n := NewNumbers(c, ch, func() bool {
		return slices.ContainsFunc(recipients.Recipients(), func(r *recipient.Recipient) bool { return r.Channel() == ch })
	})
	recipients.OnChange(n.Changed)
	// Attempts under way at the end may still ask.
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var work sync.WaitGroup
	work.Go(func() { n.Run(running) })
	return n, func() {
		cancel()
		work.Wait()
	}
}
