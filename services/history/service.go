// Package history is the service that tells what became of events: intake decisions, deliveries, status. It also sends
// deliveries again. It stores nothing of its own: all answers come from the streams and from the configuration. What it keeps in
// memory, counts and an index, it makes of them.
package history

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/configclient"
	"github.com/outbound-events/outbound/pkg/filter"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/history/internal/index"
)

// Options are what the service is started with.
type Options struct {
	// SyncConfirmed says that you have looked at the external nats-server's configuration and found `sync_interval: always`.
	// Until then the status asks for it: what is accepted is as durable as that line says. Without meaning for an embedded broker.
	SyncConfirmed bool `yaml:"syncConfirmed"`
	// MaxScan is how many records one list call looks at, at most. A page may then be short though more follow.
	MaxScan int `yaml:"maxScan"`
	// IndexRecords is how many of the newest records are kept in memory by what they can be searched by, at about 50 bytes each. A
	// search that goes further back reads more of the log and takes longer. 0: none.
	IndexRecords int `yaml:"indexRecords"`
	// Lookups is how many recipients' queues are looked at at once for the status.
	Lookups int `yaml:"lookups"`
	// AlertTick is the pause between two looks at what the admin contacts are to be told: the daily notice, silent appliances, a
	// stream that fills.
	AlertTick time.Duration `yaml:"careTick"`
}

// DefaultOptions look at 20,000 records a call and 16 queues at once, and keep an index of a million records.
func DefaultOptions() Options {
	return Options{MaxScan: 20_000, IndexRecords: 1_000_000, Lookups: 16, AlertTick: 10 * time.Second}
}

// Validate reports every fault at once.
func (o Options) Validate() error {
	var faults []error
	if o.MaxScan < 1_000 || o.MaxScan > 1_000_000 {
		faults = append(faults, fmt.Errorf("maxScan: %d is out of range: use 1000 to 1000000", o.MaxScan))
	}
	if o.IndexRecords < 0 || o.IndexRecords > 100_000_000 {
		faults = append(faults, fmt.Errorf("indexRecords: %d is out of range: use 0 to 100000000", o.IndexRecords))
	}
	if o.Lookups < 1 || o.Lookups > 256 {
		faults = append(faults, fmt.Errorf("lookups: %d is out of range: use 1 to 256", o.Lookups))
	}
	if o.AlertTick < 10*time.Millisecond || o.AlertTick > time.Minute {
		faults = append(faults, fmt.Errorf("careTick: %s is out of range: use 10ms to 1m", o.AlertTick))
	}
	return errors.Join(faults...)
}

// Broker says which broker keeps the streams, and how durably.
type Broker int

// The brokers.
const (
	// ExternalBroker is a nats-server that the operator runs; Outbound cannot ask it how it syncs.
	ExternalBroker Broker = iota + 1
	// EmbeddedAlways runs in this process and syncs each write.
	EmbeddedAlways
	// EmbeddedInterval runs in this process and syncs now and then.
	EmbeddedInterval
)

// Deps are the open doors of the service, all required. They are closed by who opened them, after Run.
type Deps struct {
	Bus       *bus.Conn
	Log       *bus.History
	Publisher *bus.Publisher
	// Config knows recipients of both channels and the settings; somebody else runs it.
	Config *configclient.Client
	Broker Broker
	// Version stands in the status.
	Version string
	// FreeBytes tells what is free on the disk of an embedded broker. Nil: that can't be told.
	FreeBytes func() (uint64, error)
}

// Service answers DeliveryService, StatusService, and EventService but for PublishEvent.
type Service struct {
	o Options
	Deps
	// filters are the recipients' filters, compiled.
	filters *filter.Cache
	// newReplay tells this process that there is a replay to run.
	newReplay chan struct{}
	// What the status is made of quickly: what is counted, remembered and asked in the background.
	activity  *activity
	index     *index.Index
	backlogs  *bus.Backlogs
	processes *processes
	endings   *endings
}

// New makes the service.
func New(o Options, deps Deps) (*Service, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("options of the history service: %w", err)
	}
	if deps.Bus == nil || deps.Log == nil || deps.Publisher == nil || deps.Config == nil {
		return nil, errors.New("the history service needs a broker, the log, a publisher and the configuration")
	}
	switch deps.Broker {
	case ExternalBroker, EmbeddedAlways, EmbeddedInterval:
	default:
		return nil, fmt.Errorf("unknown kind of broker: %d", deps.Broker)
	}
	filters, err := filter.NewCache()
	if err != nil {
		return nil, fmt.Errorf("create the history service: %w", err)
	}
	return &Service{
		o: o, Deps: deps, filters: filters, newReplay: make(chan struct{}, 1),
		activity: newActivity(), index: index.New(o.IndexRecords), backlogs: bus.NewBacklogs(deps.Bus), processes: &processes{bus: deps.Bus}, endings: &endings{},
	}, nil
}

// Register adds what the service answers to a server.
func (s *Service) Register(r grpc.ServiceRegistrar) {
	outboundv1.RegisterDeliveryServiceServer(r, s.Deliveries())
	outboundv1.RegisterStatusServiceServer(r, s.Status())
	outboundv1.RegisterEventServiceServer(r, s.Events())
}

// Deliveries answers DeliveryService.
func (s *Service) Deliveries() outboundv1.DeliveryServiceServer { return &deliveries{s: s} }

// Status answers StatusService.
func (s *Service) Status() outboundv1.StatusServiceServer { return &statusServer{s: s} }

// Events answers EventService, but for PublishEvent, which is the ingest service's.
func (s *Service) Events() outboundv1.EventServiceServer { return &events{s: s} }

// Run runs replays, counts what happens, keeps the state of open deliveries in the log, has the admin contacts told of what is due,
// and returns when ctx ends.
func (s *Service) Run(ctx context.Context) error {
	var beside sync.WaitGroup
	defer beside.Wait()
	beside.Go(func() { s.runReplays(ctx) })
	carrier := newCarrier(s)
	beside.Go(func() { carrier.run(ctx) })
	beside.Go(func() { s.follow(ctx, carrier.recorded) })
	beside.Go(func() { s.processes.run(ctx) })
	c := &adminAlerts{s: s, health: bus.NewHealthStore(s.Bus)}
	c.run(ctx)
	return nil
}

// follow keeps what is known of the log without reading it, and tells of each record that was stored.
func (s *Service) follow(ctx context.Context, stored func(sequence uint64)) {
	began := time.Now()
	s.Log.Follow(ctx, bus.Follower{
		Since: time.Now().Add(-activityHours * time.Hour), Newest: uint64(s.o.IndexRecords), //nolint:gosec // not below 0
		Notify: func(g bus.RecordHeader) {
			s.index.Add(g)
			s.activity.count(g)
			stored(g.Sequence)
		},
		CaughtUp: func() {
			if s.activity.caughtUp() {
				slog.Info("delivery log read", "records", s.index.Len(), "took", time.Since(began).Round(time.Millisecond).String())
			}
		},
		Again: func() {
			s.index.Reset()
			s.activity.again()
		},
	})
}

// configWait bounds how long a call waits for the first snapshot of the configuration.
const configWait = 5 * time.Second

// configured waits until recipients and settings are known.
func (s *Service) configured(ctx context.Context) error {
	timer := time.NewTimer(configWait)
	defer timer.Stop()
	select {
	case <-s.Config.Ready():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return errUnconfigured
	}
}
