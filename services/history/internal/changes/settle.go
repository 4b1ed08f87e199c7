package changes

import (
	"context"
	"errors"
	"slices"

	"github.com/outbound-events/outbound/pkg/bus/queue"
)

// pendingSettlements are the messages of each recipient that are to be settled.
type pendingSettlements map[string]map[settlement][]uint64

func (t pendingSettlements) note(recipient string, f settlement, sequence uint64) {
	if t[recipient] == nil {
		t[recipient] = map[settlement][]uint64{}
	}
	t[recipient][f] = append(t[recipient][f], sequence)
}

// settle has the broker act on changes that are recorded. A message that the broker does not settle is redelivered when its time comes.
func (c *Changer) settle(ctx context.Context, t pendingSettlements) error {
	var faults []error
	for id, of := range t {
		r, ok := c.Config.Recipient(id)
		if !ok {
			continue
		}
		now := of[comesNow]
		if len(now) > 0 {
			faults = append(faults, queue.New(c.Bus).RedeliverNow(ctx, r.Channel(), id, now))
		}
		// An open breaker lets these through, and nothing else.
		if asked := slices.Concat(now, of[expedites]); len(asked) > 0 {
			faults = append(faults, queue.New(c.Bus).Expedite(r.Channel(), id, asked))
		}
		if ended := of[ends]; len(ended) > 0 {
			faults = append(faults, queue.New(c.Bus).AckBySequence(ctx, r.Channel(), id, ended))
		}
	}
	return errors.Join(faults...)
}
