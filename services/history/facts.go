package history

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/health"
	"github.com/outbound-events/outbound/pkg/recipient"
)

// recipientFacts are what is known of a recipient's deliveries.
type recipientFacts struct {
	backlog bus.Backlog
	// pulse is when it was last tried and delivered to, and how the last hours went.
	pulse pulse
	// status is what the senders keep.
	status health.Status
}

// recipientFacts looks at recipients: at all queues with one question, and at the log only for what has not been counted.
func (s *Service) facts(ctx context.Context, recipients []*recipient.Recipient) ([]recipientFacts, error) {
	out := make([]recipientFacts, len(recipients))
	g, looking := errgroup.WithContext(ctx)
	g.SetLimit(s.o.Lookups)
	g.Go(func() error { return s.lookAtQueues(looking, recipients, out) })
	g.Go(func() error {
		standings, err := bus.NewHealthStore(s.Bus).All(looking)
		for i, r := range recipients {
			out[i].status = standings.Of(r)
		}
		return err
	})
	for i, r := range recipients {
		known, ok := s.activity.of(r.ID)
		if ok {
			out[i].pulse = known
			continue
		}
		g.Go(func() error {
			p, err := s.search(looking, r.ID)
			if err != nil {
				return fmt.Errorf("read the state of recipient %s: %w", r.ID, err)
			}
			out[i].pulse = p
			return nil
		})
	}
	return out, g.Wait()
}

func (s *Service) lookAtQueues(ctx context.Context, recipients []*recipient.Recipient, out []recipientFacts) error {
	if len(recipients) == 1 {
		b, err := s.Bus.Backlog(ctx, recipients[0].Channel(), recipients[0].ID)
		if errors.Is(err, bus.ErrNotFound) {
			return nil
		}
		out[0].backlog = b
		return err
	}
	all, err := s.backlogs.All(ctx)
	for i, r := range recipients {
		out[i].backlog = all.Of(r)
	}
	return err
}

// attemptsLooked is how many records are looked through for the last attempt.
const attemptsLooked = 1000

// search looks in the log for when a recipient was last tried and delivered to.
func (s *Service) search(ctx context.Context, id string) (pulse, error) {
	last, err := s.lastAttempt(ctx, id)
	if err != nil || last == nil {
		return s.activity.searched(id, time.Time{}, time.Time{}), err
	}
	delivered, err := s.newest(ctx, bus.AttemptFilter{Recipient: id, State: delivery.StateDelivered}, func(bus.StoredRecord) bool { return true })
	if err != nil {
		return pulse{}, err
	}
	return s.activity.searched(id, attemptTime(last), attemptTime(delivered)), nil
}

func attemptTime(r *bus.StoredRecord) time.Time {
	if r == nil || r.LastAttempt == nil {
		return time.Time{}
	}
	return *r.LastAttempt
}

// lastAttempt is the newest record that tells of an attempt, or of one that the breaker spared: neither skips nor
// cancellations say anything of the receiver. A copy stands behind later attempts; it counts if there is nothing else.
func (s *Service) lastAttempt(ctx context.Context, id string) (*bus.StoredRecord, error) {
	r, ok, err := s.Log.LatestOf(ctx, id)
	if err != nil || !ok {
		return nil, err
	}
	if tried(r) && r.Carried == nil {
		return &r, nil
	}
	var copied *bus.StoredRecord
	found, err := s.newest(ctx, bus.AttemptFilter{Recipient: id}, func(r bus.StoredRecord) bool {
		if tried(r) && r.Carried != nil && attemptTime(&r).After(attemptTime(copied)) {
			copied = &r
		}
		return tried(r) && r.Carried == nil
	})
	if found == nil {
		found = copied
	}
	return found, err
}

func (s *Service) newest(ctx context.Context, f bus.AttemptFilter, is func(bus.StoredRecord) bool) (*bus.StoredRecord, error) {
	records, err := s.Log.Attempts(ctx, f, 0, attemptsLooked)
	for _, r := range records {
		if is(r) {
			return &r, err
		}
	}
	return nil, err
}

func tried(r bus.StoredRecord) bool { return r.Attempt > 0 || r.State == delivery.StateExpired }
