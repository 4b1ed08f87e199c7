package eventnumbers

import (
	"context"
	"fmt"

	"github.com/outbound-events/outbound/pkg/bus/internal/names"
	"github.com/outbound-events/outbound/pkg/delivery/numbering"
)

// readDown is how much of EVENTS is read at once in front of what is remembered, to find where a number stands.
const readDown = 256 << 10

// Next is the first delivery of a recipient whose number is greater than one: where its event stands in EVENTS, and its number; 0: there
// is none yet. What EVENTS does not have any more is passed over. It waits until that is known, or until ctx ends.
func (n *Numbers) Next(ctx context.Context, recipientID string, after uint64) (sequence, number uint64, err error) {
	err = n.look(ctx, func(c *numbering.Counter, begins uint64) (answer numbering.Answer) {
		sequence, number, answer = c.Next(recipientID, after, begins)
		return answer
	})
	return sequence, number, err
}

// Last is the last number that a recipient was given up to a sequence of EVENTS, and the last one at all, as far as is counted. It waits as
// Next does.
func (n *Numbers) Last(ctx context.Context, recipientID string, sequence uint64) (upTo, last uint64, err error) {
	err = n.look(ctx, func(c *numbering.Counter, begins uint64) (answer numbering.Answer) {
		upTo, last, answer = c.Last(recipientID, sequence, begins)
		return answer
	})
	return upTo, last, err
}

// look asks the counter again and again, while it has to read what stands in front of what it remembers.
func (n *Numbers) look(ctx context.Context, ask func(c *numbering.Counter, begins uint64) numbering.Answer) error {
	begins := uint64(1)
	for read := false; ; {
		c, news := n.now()
		if c != nil {
			switch {
			case ask(c, begins) == numbering.Known:
				return nil
			case !read:
				first, err := n.begins(ctx)
				if err != nil {
					return err
				}
				begins, read = first, true
				continue
			default:
				n.read(max(begins, c.Begins()-min(readDown, c.Begins())))
			}
		}
		select {
		case <-news:
		case <-ctx.Done():
			return fmt.Errorf("wait for the numbers of deliveries: %w", ctx.Err())
		}
	}
}

// begins is the first sequence that EVENTS has.
func (n *Numbers) begins(ctx context.Context) (uint64, error) {
	s, err := n.conn.JS.Stream(ctx, names.StreamEvents)
	if err != nil {
		return 0, fmt.Errorf("look up stream %s: %w", names.StreamEvents, err)
	}
	return max(s.CachedInfo().State.FirstSeq, 1), nil
}
