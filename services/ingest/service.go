package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/configclient"
	"github.com/outbound-events/outbound/pkg/logkey"
	"github.com/outbound-events/outbound/pkg/notice"
	"github.com/outbound-events/outbound/pkg/process"
	"github.com/outbound-events/outbound/pkg/telemetry"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// Options are what the service is started with.
type Options struct {
	// MaxInFlight is the maximum number of events being stored. Further events are refused with a request to retry.
	MaxInFlight int `yaml:"maxInFlight"`
	// MaxInFlightBytes bounds the same events by their size.
	MaxInFlightBytes int64 `yaml:"maxInFlightBytes"`
	// MaxInFlightPerAppliance is how many of these events may be of one appliance. The events of several appliances are stored in turn.
	MaxInFlightPerAppliance int `yaml:"maxInFlightPerAppliance"`
	// EventsPerSecond and BytesPerSecond are how much one appliance may publish, unless it has limits of its own; 0: any number. Each
	// ingest process counts what it takes. What is above is refused with the time after which to try again.
	EventsPerSecond int `yaml:"eventsPerSecond"`
	BytesPerSecond  int `yaml:"bytesPerSecond"`
	// Timeout is how long storing an event may take before the publisher is asked to retry.
	Timeout time.Duration `yaml:"timeout"`
}

// DefaultOptions let 4,096 events of together 256 MiB be on their way, half of them of one appliance, each for 10 s at most. An appliance
// may publish 10,000 events and 32 MiB a second.
func DefaultOptions() Options {
	return Options{MaxInFlight: 4096, MaxInFlightBytes: 256 << 20, Timeout: 10 * time.Second,
		EventsPerSecond: 10_000, BytesPerSecond: 32 << 20}
}

// perAppliance is how many events of one appliance may be in flight.
func (o Options) perAppliance() int {
	if o.MaxInFlightPerAppliance > 0 {
		return min(o.MaxInFlightPerAppliance, o.MaxInFlight)
	}
	return (o.MaxInFlight + 1) / 2
}

// Validate reports every fault at once.
func (o Options) Validate() error {
	var f process.Faults
	if o.MaxInFlight < 1 || o.MaxInFlight > 1_000_000 {
		f.Add("maxInFlight", "%d is out of range: use 1 to 1000000", o.MaxInFlight)
	}
	if o.MaxInFlightBytes < 1<<20 {
		f.Add("maxInFlightBytes", "%d is too few: use at least 1048576", o.MaxInFlightBytes)
	}
	if o.MaxInFlightPerAppliance < 0 || o.MaxInFlightPerAppliance > 1_000_000 {
		f.Add("maxInFlightPerAppliance", "%d is out of range: use 1 to 1000000, or 0 for half of maxInFlight", o.MaxInFlightPerAppliance)
	}
	if o.EventsPerSecond < 0 || o.EventsPerSecond > 1_000_000 {
		f.Add("eventsPerSecond", "%d is out of range: use 1 to 1000000, or 0 for no limit", o.EventsPerSecond)
	}
	if o.BytesPerSecond != 0 && (o.BytesPerSecond < leastBytesPerSecond || o.BytesPerSecond > 1<<30) {
		f.Add("bytesPerSecond", "%d is out of range: use %d to %d, or 0 for no limit", o.BytesPerSecond, leastBytesPerSecond, 1<<30)
	}
	if o.Timeout < time.Second || o.Timeout > time.Minute {
		f.Add("timeout", "%s is out of range: use 1s to 1m", o.Timeout)
	}
	return f.Err()
}

// Observer counts decisions. Its methods must not block.
type Observer interface {
	// Decided counts a decision: accepted, duplicate, rejected or refused. reason is empty for the first two.
	Decided(decision, reason, via string)
	// Unrecorded counts a decision without a record.
	Unrecorded()
	// Limited counts an event that was refused because of its appliance's limit; unknown senders have no appliance.
	Limited(appliance string)
	// Answered notes how long the answer to an event took, in the trace that ctx belongs to.
	Answered(ctx context.Context, decision, via string, took time.Duration)
}

// Deps are the open doors of the service. They are closed by who opened them, after Run.
type Deps struct {
	// Bus reaches the broker; the streams must be there.
	Bus *bus.Conn
	// Config has the event types; the caller runs it. It must watch settings.
	Config *configclient.Client
	// Observer counts decisions. Optional.
	Observer Observer
	// Logger takes a line for each rejected event. Nil: the process's.
	Logger *slog.Logger
	// Store says what the broker's store has lost; then no event is accepted. Optional.
	Store func() error
	// Notices say which appliances exceed their limit. Optional.
	Notices *notice.Board
	// Version is shown to those who list the broker's services, as three numbers with dots. Empty: 0.0.0.
	Version string
}

// Service takes events in. It answers EventService.PublishEvent; the other methods of EventService are history's.
type Service struct {
	outboundv1.UnimplementedEventServiceServer
	o    Options
	deps Deps
	// now is the intake while Run runs.
	now atomic.Pointer[intake]
}

// New makes the service; Run starts it.
func New(o Options, deps Deps) (*Service, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("options of ingest: %w", err)
	}
	if deps.Bus == nil || deps.Config == nil {
		return nil, errors.New("ingest needs a broker and the configuration")
	}
	if deps.Logger == nil {
		deps.Logger = slog.New(slog.DiscardHandler)
	}
	if deps.Store == nil {
		deps.Store = func() error { return nil }
	}
	if deps.Observer == nil {
		deps.Observer = silent{}
	}
	return &Service{o: o, deps: deps}, nil
}

type silent struct{}

func (silent) Decided(string, string, string) {}
func (silent) Unrecorded()                    {}
func (silent) Limited(string)                 {}

func (silent) Answered(context.Context, string, string, time.Duration) {}

// Register adds EventService to a server, with PublishEvent answered here.
func (s *Service) Register(r grpc.ServiceRegistrar) { outboundv1.RegisterEventServiceServer(r, s) }

// Run takes events in until ctx ends. Then it takes no more, answers what it has taken and waits for the records of it.
func (s *Service) Run(ctx context.Context) error {
	k := newIntake(s.o, s.deps)
	defer k.close()
	if k.deps.Bus.AwaitClock(ctx) != nil || !k.recovery.prepare(ctx) {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	var beside sync.WaitGroup
	defer beside.Wait()
	defer cancel()
	beside.Go(func() { k.recovery.run(ctx) })
	beside.Go(func() { k.limits.run(ctx) })
	endpoint, err := k.listen()
	if err != nil {
		return err
	}
	// Only now: who is ready has subscribed.
	s.now.Store(k)
	defer s.now.Store(nil)
	s.tidy(ctx)
	if err := endpoint.Stop(); err != nil {
		return fmt.Errorf("stop listening for events: %w", err)
	}
	return nil
}

// How often finished events are purged, and how full EVENTS must be for it to be done at each look.
const (
	tidyEvery = 30 * time.Second
	tidyLook  = 5 * time.Second
	tidyAbove = 0.85
)

// tidy purges what every recipient has finished, once EVENTS is nearly full, until ctx ends. Several replicas may do so.
func (s *Service) tidy(ctx context.Context) {
	tick := time.NewTicker(tidyLook)
	defer tick.Stop()
	for last := time.Now(); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		state, err := control.New(s.deps.Bus).StreamState(ctx, bus.StreamEvents)
		if err == nil && state.Fill() < tidyAbove && time.Since(last) < tidyEvery {
			continue
		}
		last = time.Now()
		gone, err := control.New(s.deps.Bus).PurgeFinished(ctx)
		switch {
		case err != nil && ctx.Err() == nil:
			s.deps.Logger.WarnContext(ctx, "purge of finished events failed", telemetry.KeyError, err.Error())
		case gone > 0:
			s.deps.Logger.InfoContext(ctx, "finished events purged", logkey.Events, gone)
		}
	}
}

// readyWait is how long Ready waits for the broker at most.
const readyWait = 2 * time.Second

// Ready says why events cannot be taken in now, or nothing. It asks the broker, which answers only after it has seen what was sent
// before: after a start and after a reconnect that is the subscription of intake.
func (s *Service) Ready(ctx context.Context) error {
	k := s.now.Load()
	if k == nil {
		return errors.New("ingest is not running")
	}
	if err := s.deps.Bus.Ready(); err != nil {
		return err
	}
	if f := s.deps.Bus.StoreFault(); f != nil {
		return fmt.Errorf("events are refused (%s): %w", f.Reason, f)
	}
	if err := k.ready(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, readyWait)
	defer cancel()
	if err := s.deps.Bus.Flush(ctx); err != nil {
		return fmt.Errorf("the broker is not responding: %w", err)
	}
	return nil
}
