package search

import (
	"cmp"
	"context"
	"slices"

	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/recipient"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/history/internal/lookup"
)

// recipientQueue is a recipient whose queue is not empty.
type recipientQueue struct {
	recipient *recipient.Recipient
	backlog   control.Backlog
	// untried is how many messages are delivered to a sender without a record; counted says that they have been counted.
	untried int
	counted bool
}

// owes reports whether an event at a sequence of EVENTS may be the recipient's and not be acknowledged.
func (q *recipientQueue) owes(e *event.Event, sequence uint64) bool {
	return sequence > q.backlog.AckFloor && sequence >= q.recipient.StartSequence &&
		q.recipient.WantsType(e.Type) && q.recipient.WantsAppliance(e.Appliance)
}

// waitsIn reports whether an event without a record, which q may owe, waits. What the broker has not delivered yet does. What it has gone
// past waits only if it is pending, in its first attempt or postponed; else it did not match at that time, and a later change of
// the recipient's types made it match.
func (s *Searcher) waitsIn(ctx context.Context, q *recipientQueue, sequence uint64) (bool, error) {
	if sequence > q.backlog.Given {
		return q.backlog.Waiting > 0, nil
	}
	if !q.counted {
		last, err := s.Log.LastSequence(ctx)
		if err != nil {
			return false, err
		}
		retries := deliverylog.AttemptFilter{Recipient: q.recipient.ID, State: delivery.StateRetrying}
		w := recordScan{s: s, filter: retries, until: last, maxScan: s.MaxScan}
		retrying, _, err := w.page(ctx, last+1, int(min(q.backlog.Unsettled, 1<<20)))
		if err != nil {
			return false, err
		}
		q.untried, q.counted = int(min(q.backlog.Unsettled, 1<<20))-len(retrying), true
	}
	q.untried--
	return q.untried >= 0, nil
}

// openQueues returns the queues that are not empty of the recipients that a filter selects.
func (s *Searcher) openQueues(ctx context.Context, req *outboundv1.ListDeliveriesRequest) ([]*recipientQueue, error) {
	if err := lookup.AwaitConfig(ctx, s.Config); err != nil {
		return nil, err
	}
	var meant []*recipient.Recipient
	for _, r := range s.Config.Recipients() {
		if (req.GetRecipientId() == "" || r.ID == req.GetRecipientId()) && (req.GetChannel() == "" || string(r.Channel()) == req.GetChannel()) {
			meant = append(meant, r)
		}
	}
	if len(meant) == 0 {
		return nil, nil
	}
	backlogs, err := s.Queues.Backlogs(ctx, meant)
	if err != nil {
		return nil, err
	}
	var out []*recipientQueue
	for i, r := range meant {
		if b := backlogs[i]; b.Waiting+b.Unsettled > 0 {
			out = append(out, &recipientQueue{recipient: r, backlog: b})
		}
	}
	slices.SortFunc(out, func(a, b *recipientQueue) int { return cmp.Compare(a.recipient.ID, b.recipient.ID) })
	return out, nil
}
