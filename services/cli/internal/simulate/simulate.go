// Package simulate plays support sessions of appliances.
package simulate

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/cli/internal/client"
	"github.com/outbound-events/outbound/services/cli/internal/command"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
	"github.com/outbound-events/outbound/services/cli/internal/output"
)

// simulation is one run of `simulate`.
type simulation struct {
	*command.Env
	appliances, events int
	rate               float64
	duration           time.Duration
	prefix             string
}

// Command makes the command `simulate`.
func Command(env *command.Env) *cobra.Command {
	s := simulation{Env: env}
	cmd := &cobra.Command{
		Use:   "simulate",
		Short: "Publish simulated support sessions over REST",
		Long: "Simulate publishes the events of made-up support sessions: start, join, change of owner, leave, end and both surveys.\n" +
			"Each appliance runs one session after another. The command stops after --duration or --events, or when interrupted.",
		Example: "  outbound simulate --appliances 5 --rate 50 --duration 1m",
		Args:    command.Arguments(),
	}
	f := cmd.Flags()
	f.IntVar(&s.appliances, "appliances", 3, "number of appliances")
	f.Float64Var(&s.rate, "rate", 10, "events per second across all appliances")
	command.DurationVar(f, &s.duration, "duration", "how long to run (default: until interrupted)")
	f.IntVar(&s.events, "events", 0, "number of events to publish (default: no limit)")
	f.StringVar(&s.prefix, "prefix", "sim-", "prefix of the appliance IDs; a number follows")
	cmd.RunE = env.With(func(ctx context.Context, c *client.Client, _ []string) error {
		if s.appliances < 1 || s.appliances > 1000 || s.rate <= 0 || s.rate > 100_000 || s.events < 0 || s.duration < 0 {
			return exit.Usagef("--appliances must be 1 to 1000, --rate above 0 and at most 100000, --events and --duration not negative")
		}
		return s.run(ctx, c)
	})
	return cmd
}

// tally counts the outcomes of events.
type tally struct {
	accepted, refused, failed atomic.Int64

	mu    sync.Mutex
	first error
}

func (t *tally) count(err error) {
	var refused *client.APIError
	switch {
	case err == nil:
		t.accepted.Add(1)
		return
	case errors.As(err, &refused):
		t.refused.Add(1)
	default:
		t.failed.Add(1)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.first == nil {
		t.first = err
	}
}

func (t *tally) firstError() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.first
}

func (s *simulation) run(ctx context.Context, c *client.Client) error {
	fields := &outboundv1.ListCustomFieldsResponse{}
	if err := c.Call(ctx, http.MethodGet, "/v1/custom-fields", nil, fields); err != nil {
		return err
	}
	if s.duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.duration)
		defer cancel()
	}
	var t tally
	began := time.Now()
	turns := make(chan struct{})
	var wg sync.WaitGroup
	for i := range s.appliances {
		p := &player{appliance: fmt.Sprintf("%s%d", s.prefix, i+1),
			random: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))} //nolint:gosec // made-up sessions
		for _, x := range fields.GetCustomFields() {
			p.customFields = append(p.customFields, x.GetCodeName())
		}
		wg.Go(func() { p.play(ctx, c, turns, &t) })
	}
	s.pace(ctx, turns, &t)
	close(turns)
	wg.Wait()
	return s.showTally(&t, time.Since(began))
}

// pace hands out turns at the rate, until ctx ends or all are taken. If all appliances are busy, the rate falls; no burst makes up
// for it.
func (s *simulation) pace(ctx context.Context, turns chan<- struct{}, t *tally) {
	const tick = 5 * time.Millisecond
	ticker, progress := time.NewTicker(tick), time.NewTicker(time.Second)
	defer ticker.Stop()
	defer progress.Stop()
	line, began := s.Progress(), time.Now()
	defer line.End()
	given, due, last := 0, 1.0, began
	for s.events == 0 || given < s.events {
		if due < 1 {
			select {
			case <-ctx.Done():
				return
			case <-progress.C:
				line.Show("%s", s.tallyLine(t, time.Since(began)))
			case now := <-ticker.C:
				due = min(due+s.rate*now.Sub(last).Seconds(), max(s.rate/10, 1))
				last = now
			}
			continue
		}
		select {
		case <-ctx.Done():
			return
		case turns <- struct{}{}:
			given++
			due--
		}
	}
}

// tallyLine is the progress in a line.
func (s *simulation) tallyLine(t *tally, took time.Duration) string {
	of := ""
	if s.events > 0 {
		of = fmt.Sprintf(" of %d", s.events)
	}
	accepted := t.accepted.Load()
	return fmt.Sprintf("%d%s accepted, %d refused, %d failed, %.1f/s after %s", accepted, of, t.refused.Load(), t.failed.Load(),
		float64(accepted)/took.Seconds(), took.Round(time.Second))
}

func (s *simulation) showTally(t *tally, took time.Duration) error {
	accepted, refused, failed := t.accepted.Load(), t.refused.Load(), t.failed.Load()
	if !s.Structured() {
		s.Say("%d accepted, %d refused, %d failed in %s (%.1f/s)", accepted, refused, failed, took.Round(time.Millisecond),
			float64(accepted)/took.Seconds())
	} else if err := s.ShowJSON(fmt.Appendf(nil, `{"accepted":%d,"refused":%d,"failed":%d,"seconds":%.3f}`, accepted, refused,
		failed, took.Seconds())); err != nil {
		return err
	}
	first := t.firstError()
	if first != nil && accepted == 0 {
		return fmt.Errorf("no event was accepted: %w", first)
	}
	if first != nil {
		output.PrintError(s.Err, fmt.Errorf("the first refused event: %w", first))
	}
	return nil
}
