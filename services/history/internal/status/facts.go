package status

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/health"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/services/history/internal/lookup"
)

// recipientFacts are what is known of a recipient's deliveries.
type recipientFacts struct {
	backlog control.Backlog
	// counts say when it was last tried and delivered to, and how the last hours went.
	counts counts
	// window is when it was last disabled with SKIP, and skipped how many events were skipped since its start; a zero start: never.
	window  recipient.Window
	skipped int64
	// status is what the senders keep.
	status health.Status
	// expiring is how many deliveries expire before the horizon.
	expiring expiring
}

// facts reads the facts of recipients: all queues with one request, and the log only for what has not been counted.
func (s *Reporter) facts(ctx context.Context, recipients []*recipient.Recipient) ([]recipientFacts, error) {
	out := make([]recipientFacts, len(recipients))
	g, looking := errgroup.WithContext(ctx)
	g.SetLimit(s.o.Lookups)
	g.Go(func() error {
		backlogs, err := s.Queues.Backlogs(looking, recipients)
		for i, b := range backlogs {
			out[i].backlog = b
		}
		return err
	})
	g.Go(func() error {
		all, err := s.health.All(looking)
		for i, r := range recipients {
			out[i].status = all.Of(r)
		}
		return err
	})
	for i, r := range recipients {
		if w, ok := lastSkipped(r, s.Bus.Now()); ok {
			out[i].window, out[i].skipped = w, s.activity.skippedSince(r.ID, w.Start)
		}
		known, ok := s.activity.of(r.ID)
		if ok {
			out[i].counts = known
			continue
		}
		g.Go(func() error {
			p, err := s.searchLog(looking, r.ID)
			if err != nil {
				return fmt.Errorf("read the state of recipient %s: %w", r.ID, err)
			}
			out[i].counts = p
			return nil
		})
	}
	return out, g.Wait()
}

// attemptsRead is how many records are read to find the last attempt.
const attemptsRead = 1000

// searchLog searches the log for when a recipient was last tried and delivered to.
func (s *Reporter) searchLog(ctx context.Context, id string) (counts, error) {
	last, err := s.lastAttempt(ctx, id)
	if err != nil || last == nil {
		return s.activity.noteSearched(id, time.Time{}, time.Time{}), err
	}
	isDelivered := deliverylog.AttemptFilter{Recipient: id, State: delivery.StateDelivered}
	delivered, err := s.newest(ctx, isDelivered, func(deliverylog.StoredRecord) bool { return true })
	if err != nil {
		return counts{}, err
	}
	return s.activity.noteSearched(id, attemptTime(last), attemptTime(delivered)), nil
}

func attemptTime(r *deliverylog.StoredRecord) time.Time {
	if r == nil || r.LastAttempt == nil {
		return time.Time{}
	}
	return *r.LastAttempt
}

// lastAttempt returns the newest record of an attempt, or of one that an open breaker prevented: neither skips nor
// cancellations say anything of the receiver. A carried copy may come after later attempts; it counts if there is nothing else.
func (s *Reporter) lastAttempt(ctx context.Context, id string) (*deliverylog.StoredRecord, error) {
	r, ok, err := s.Log.LatestOf(ctx, id)
	if err != nil || !ok {
		return nil, err
	}
	if lookup.Attempted(r.Record) && r.Carried == nil {
		return &r, nil
	}
	var copied *deliverylog.StoredRecord
	found, err := s.newest(ctx, deliverylog.AttemptFilter{Recipient: id}, func(r deliverylog.StoredRecord) bool {
		if lookup.Attempted(r.Record) && r.Carried != nil && attemptTime(&r).After(attemptTime(copied)) {
			copied = &r
		}
		return lookup.Attempted(r.Record) && r.Carried == nil
	})
	if found == nil {
		found = copied
	}
	return found, err
}

func (s *Reporter) newest(ctx context.Context, f deliverylog.AttemptFilter,
	is func(deliverylog.StoredRecord) bool) (*deliverylog.StoredRecord, error) {
	records, err := s.Log.Attempts(ctx, f, 0, attemptsRead)
	for _, r := range records {
		if is(r) {
			return &r, err
		}
	}
	return nil, err
}
