package delivery_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/recipient"
)

// stuck is a queue with one message and a log that answers nothing until it is closed.
type stuck struct {
	mu      sync.Mutex
	handed  bool
	pending []func(error)
}

func (*stuck) Expedited(recipient.Channel, func(string, []uint64)) (func(), error) {
	return func() {}, nil
}

func (s *stuck) Open(context.Context, recipient.Channel, string) (delivery.Puller, error) {
	return s, nil
}

func (*stuck) Close() {}

func (s *stuck) Pull(ctx context.Context, _ int, wait time.Duration, take func(delivery.Message)) error {
	s.mu.Lock()
	first := !s.handed
	s.handed = true
	s.mu.Unlock()
	if first {
		take(delivery.Message{Event: &event.Event{ID: "e-1", Appliance: "a1", Type: "t"}, Sequence: 1, HandedOut: 1,
			Stored: time.Now().Add(time.Hour), Settler: unsettled{}})
		return nil
	}
	select {
	case <-ctx.Done():
	case <-time.After(wait):
	}
	return nil
}

func (*stuck) Latest(context.Context, string, *event.Event, string) (rec delivery.Record, sequence uint64, err error) {
	return rec, 0, nil
}

func (s *stuck) AppendAfter(rec delivery.Record, _ uint64, done func(error)) {
	s.AppendAttempt(rec, done)
}

func (s *stuck) AppendAttempt(_ delivery.Record, done func(error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending = append(s.pending, done)
}

// giveUp answers what waits, as a log does that is closed, and returns how much that was.
func (s *stuck) giveUp() int {
	s.mu.Lock()
	all := s.pending
	s.pending = nil
	s.mu.Unlock()
	for _, done := range all {
		done(errors.New("given up"))
	}
	return len(all)
}

type unsettled struct{}

func (unsettled) Ack() error                       { return nil }
func (unsettled) NakWithDelay(time.Duration) error { return nil }
func (unsettled) Term(string) error                { return nil }

// sendFor is a sender whose attempts take so long, unless they are cut.
type sendFor time.Duration

func (s sendFor) Send(ctx context.Context, _ *delivery.Delivery) delivery.Outcome {
	began := time.Now()
	select {
	case <-ctx.Done():
	case <-time.After(time.Duration(s)):
	}
	return delivery.Outcome{Began: began, Took: time.Since(began), Status: 500}
}

func (sendFor) Judge(*delivery.Delivery, delivery.Outcome) delivery.Verdict {
	return delivery.Verdict{Kind: delivery.Retry, Reason: reasons.HTTPStatus}
}

func TestTheEndIsNotHeldUpByABrokerThatAnswersNothing(t *testing.T) {
	for name, c := range map[string]struct {
		attempt time.Duration
		// silentAfter is when the broker is found to be silent; 0: it is not.
		silentAfter time.Duration
		want        time.Duration
	}{
		"an attempt is cut":               {time.Minute, 5 * time.Second, 5 * time.Second},
		"a record is given up":            {time.Second, 5 * time.Second, 5 * time.Second},
		"without a sign, after the grace": {time.Second, 0, delivery.DefaultGrace + 5*time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, silence := &stuck{}, make(chan struct{})
				dir := &directory{all: map[string]*recipient.Recipient{}}
				dir.set(&recipient.Recipient{ID: "r1", Enabled: true, EventTypes: []string{"t"}, StartSequence: 1, HTTP: &recipient.HTTPTarget{},
					Retry: recipient.Retry{Interval: time.Second, Duration: time.Hour}})
				e, err := delivery.NewEngine(delivery.EngineOptions{
					Channel: recipient.HTTP, Sender: sendFor(c.attempt), Recipients: dir, Queue: s, Log: s, Observer: unobserved{}, Since: time.Now,
					Silent: silence,
				})
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				go func() { ended <- e.Run(ctx) }()
				synctest.Wait() // the attempt is under way
				cancel()
				asked := time.Now()
				if c.silentAfter > 0 {
					time.AfterFunc(c.silentAfter, func() {
						close(silence)
						synctest.Wait() // what was cut is handed to the log, which gives it up
						s.giveUp()
					})
				}
				if err := <-ended; err != nil {
					t.Error(err)
				}
				if took := time.Since(asked); took < c.want || took > c.want+time.Second {
					t.Errorf("it ended after %v, want %v", took, c.want)
				}
				s.giveUp()
			})
		})
	}
}

// unobserved is an observer of nothing.
type unobserved struct{}

func (unobserved) Begin(ctx context.Context, _ *delivery.Delivery) context.Context { return ctx }
func (unobserved) End(context.Context, delivery.Report)                            {}
func (unobserved) Ended(delivery.Report)                                           {}
