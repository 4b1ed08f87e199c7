package history

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/checkpoints"
	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/configclient"
	"github.com/outbound-events/outbound/pkg/filter"
	"github.com/outbound-events/outbound/pkg/logkey"
	"github.com/outbound-events/outbound/pkg/process"
	"github.com/outbound-events/outbound/pkg/secret"
	"github.com/outbound-events/outbound/pkg/telemetry"
	"github.com/outbound-events/outbound/pkg/tlog"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/history/internal/adminalerts"
	"github.com/outbound-events/outbound/services/history/internal/anchor"
	"github.com/outbound-events/outbound/services/history/internal/carry"
	"github.com/outbound-events/outbound/services/history/internal/changes"
	"github.com/outbound-events/outbound/services/history/internal/detail"
	"github.com/outbound-events/outbound/services/history/internal/index"
	"github.com/outbound-events/outbound/services/history/internal/lookup"
	"github.com/outbound-events/outbound/services/history/internal/pulls"
	"github.com/outbound-events/outbound/services/history/internal/queues"
	"github.com/outbound-events/outbound/services/history/internal/replay"
	"github.com/outbound-events/outbound/services/history/internal/search"
	"github.com/outbound-events/outbound/services/history/internal/status"
	"github.com/outbound-events/outbound/services/history/internal/timeseries"
	"github.com/outbound-events/outbound/services/history/internal/verify"
	"github.com/outbound-events/outbound/services/history/internal/waits"
)

// Options are what the service is started with.
type Options struct {
	// SyncConfirmed says that you have checked that the external nats-server is configured with `sync_interval: always`. Until
	// then the status asks for it: what is accepted is as durable as that setting. It has no effect with an embedded broker.
	SyncConfirmed bool `yaml:"syncConfirmed"`
	// MaxScan is how many records one list call reads, at most. A page may then be short though more follow.
	MaxScan int `yaml:"maxScan"`
	// IndexRecords is how many of the newest records the index in memory holds, at about 50 bytes each. A search that goes further
	// back reads more of the log and takes longer. 0: no index.
	IndexRecords int `yaml:"indexRecords"`
	// Lookups is how many recipients, appliances or deliveries are looked up at once.
	Lookups int `yaml:"lookups"`
	// AlertTick is the pause between two checks whether the admin contacts must be notified: of the day, of silent appliances, of a
	// stream that fills.
	AlertTick time.Duration `yaml:"careTick"`
	// CheckpointKey is where the key is kept that signs the checkpoints of the delivery log: `file:PATH`, `env:NAME` or
	// `exec:PROGRAM ARGUMENTS`. Empty: no checkpoints are made; in one process, checkpoint.key in the data folder, which the first start
	// makes.
	CheckpointKey string `yaml:"checkpointKey"`
	// CheckpointEvery is the time between two checkpoints.
	CheckpointEvery time.Duration `yaml:"checkpointEvery"`
}

// DefaultOptions read 20,000 records a call and 16 queues at once, and keep an index of a million records.
func DefaultOptions() Options {
	return Options{MaxScan: 20_000, IndexRecords: 1_000_000, Lookups: 16, AlertTick: 10 * time.Second, CheckpointEvery: time.Minute}
}

// Validate reports every fault at once.
func (o Options) Validate() error {
	var f process.Faults
	if o.MaxScan < 1_000 || o.MaxScan > 1_000_000 {
		f.Add("maxScan", "%d is out of range: use 1000 to 1000000", o.MaxScan)
	}
	if o.IndexRecords < 0 || o.IndexRecords > 100_000_000 {
		f.Add("indexRecords", "%d is out of range: use 0 to 100000000", o.IndexRecords)
	}
	if o.Lookups < 1 || o.Lookups > 256 {
		f.Add("lookups", "%d is out of range: use 1 to 256", o.Lookups)
	}
	if o.AlertTick < 10*time.Millisecond || o.AlertTick > time.Minute {
		f.Add("careTick", "%s is out of range: use 10ms to 1m", o.AlertTick)
	}
	_, err := secret.ParsePlace(o.CheckpointKey)
	f.Within("checkpointKey", err)
	if o.CheckpointEvery < time.Second || o.CheckpointEvery > time.Hour {
		f.Add("checkpointEvery", "%s is out of range: use 1s to 1h", o.CheckpointEvery)
	}
	return f.Err()
}

// Deps are what the service needs, all required but FreeBytes, Telemetry and Checkpoints. Whoever opened them closes them, after Run.
type Deps struct {
	Bus       *bus.Conn
	Log       *deliverylog.Log
	Publisher *bus.Publisher
	// Config has the recipients of both channels and the settings; the caller runs it.
	Config *configclient.Client
	Broker Broker
	// Version is shown in the status.
	Version string
	// FreeBytes returns what is free on the disk of an embedded broker. Nil: that is not known.
	FreeBytes func() (uint64, error)
	// Logger takes what is to be said. Nil: nothing is logged.
	Logger *slog.Logger
	// Telemetry shows the status as metrics. Nil: it is not shown.
	Telemetry *telemetry.Telemetry
	// Checkpoints sign the checkpoints of the log, and verify them. Nil: none are made.
	Checkpoints *tlog.Keys
}

// Service answers DeliveryService, StatusService, and EventService but for PublishEvent.
type Service struct {
	o Options
	Deps
	// activity, index and counter are derived from the log as it grows.
	activity *status.Activity
	index    *index.Index
	counter  *timeseries.Counter

	status  *status.Reporter
	search  *search.Searcher
	detail  *detail.Reader
	replays *replay.Replayer
	changes *changes.Changer
	waits   *waits.Explainer
	series  *timeseries.Reader
	// keeper is nil if no checkpoints are made.
	keeper   *anchor.Keeper
	verifier *verify.Verifier
}

// New makes the service.
func New(o Options, deps Deps) (*Service, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("options of the history service: %w", err)
	}
	if deps.Bus == nil || deps.Log == nil || deps.Publisher == nil || deps.Config == nil {
		return nil, errors.New("the history service needs a broker, the log, a publisher and the configuration")
	}
	deps.Logger = cmp.Or(deps.Logger, slog.New(slog.DiscardHandler))
	switch deps.Broker {
	case ExternalBroker, EmbeddedAlways, EmbeddedInterval:
	default:
		return nil, fmt.Errorf("unknown kind of broker: %d", deps.Broker)
	}
	filters, err := filter.NewCache()
	if err != nil {
		return nil, fmt.Errorf("create the history service: %w", err)
	}
	s := &Service{o: o, Deps: deps, activity: status.NewActivity(), index: index.New(o.IndexRecords), counter: timeseries.NewCounter()}
	s.wire(filters)
	return s, nil
}

// wire makes the parts that answer.
func (s *Service) wire(filters *filter.Cache) {
	events := &lookup.Finder{Bus: s.Bus, Log: s.Log, Config: s.Config}
	queued := queues.New(s.Bus)
	s.status = status.New(status.Options{
		Lookups: s.o.Lookups, Version: s.Version, DurabilityNotice: durabilityNotice(s.Broker, s.o.SyncConfirmed), FreeBytes: s.FreeBytes,
	}, status.Deps{Bus: s.Bus, Log: s.Log, Config: s.Config, Queues: queued}, s.activity)
	if s.Telemetry != nil {
		status.NewMetrics(s.status, s.Telemetry)
	}
	s.search = search.New(search.Deps{
		Bus: s.Bus, Log: s.Log, Config: s.Config, Events: events, Index: s.index, Queues: queued, MaxScan: s.o.MaxScan,
		Logger: s.Logger,
	})
	s.detail = detail.New(detail.Deps{
		Bus: s.Bus, Log: s.Log, Config: s.Config, Events: events, Search: s.search, Filters: filters, Lookups: s.o.Lookups, Version: s.Version,
	})
	s.replays = replay.New(replay.Deps{
		Bus: s.Bus, Log: s.Log, Publisher: s.Publisher, Config: s.Config, Filters: filters, MaxScan: s.o.MaxScan,
		Logger: s.Logger,
	})
	seen := timeseries.NewQueues(timeseries.Deps{Bus: s.Bus, Config: s.Config, Queues: queued, Logger: s.Logger})
	s.series = &timeseries.Reader{Counter: s.counter, Queues: seen}
	s.waits = waits.New(s.Bus, s.Config)
	s.wireCheckpoints()
	s.changes = changes.New(changes.Deps{Bus: s.Bus, Log: s.Log, Publisher: s.Publisher, Config: s.Config, Events: events})
}

// wireCheckpoints makes the parts that keep the tree over the log, and verify it.
func (s *Service) wireCheckpoints() {
	of, records := checkpoints.New(s.Bus), deliverylog.NewRecords(s.Bus)
	d := verify.Deps{Log: records, Checkpoints: of, Keys: s.Checkpoints, Now: s.Bus.Now}
	if s.Checkpoints != nil && s.Checkpoints.Signs() {
		s.keeper = anchor.New(anchor.Deps{Bus: s.Bus, Log: records, Checkpoints: of, Keys: s.Checkpoints, Every: s.o.CheckpointEvery,
			Logger: s.Logger})
		d.Cover = s.keeper.Cover
	}
	s.verifier = verify.New(d)
}

// Register adds what the service answers to a server.
func (s *Service) Register(r grpc.ServiceRegistrar) {
	outboundv1.RegisterDeliveryServiceServer(r, s.Deliveries())
	outboundv1.RegisterStatusServiceServer(r, s.Status())
	outboundv1.RegisterEventServiceServer(r, s.Events())
}

// Deliveries answers DeliveryService.
func (s *Service) Deliveries() outboundv1.DeliveryServiceServer {
	return &deliveriesServer{search: s.search, detail: s.detail, replays: s.replays,
		changes: s.changes, waits: s.waits, verifier: s.verifier, pulls: pulls.New(s.Bus, s.Config),
		probe: &changes.Prober{Changer: s.changes, Search: s.search}}
}

// Status answers StatusService.
func (s *Service) Status() outboundv1.StatusServiceServer {
	return &statusServer{status: s.status, series: s.series}
}

// Events answers EventService, but for PublishEvent, which is the ingest service's.
func (s *Service) Events() outboundv1.EventServiceServer {
	return &eventsServer{search: s.search, detail: s.detail, waits: s.waits}
}

// Run runs replays, follows the log, keeps the state of open deliveries in it and notifies the admin contacts, until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	if s.Bus.AwaitClock(ctx) != nil {
		return nil
	}
	var background sync.WaitGroup
	defer background.Wait()
	carrier := carry.New(carry.Deps{Bus: s.Bus, Log: s.Log, Config: s.Config, Index: s.index, Logger: s.Logger})
	background.Go(func() { s.replays.Run(ctx) })
	background.Go(func() { carrier.Run(ctx) })
	if s.keeper != nil {
		background.Go(func() { s.keeper.Run(ctx) })
	}
	background.Go(func() { s.follow(ctx, carrier.Stored) })
	background.Go(func() { s.status.Run(ctx) })
	background.Go(func() { s.series.Run(ctx) })
	adminalerts.New(adminalerts.Deps{Bus: s.Bus, Config: s.Config, Status: s.status, Tick: s.o.AlertTick, Logger: s.Logger}).Run(ctx)
	return nil
}

// follow keeps the activity and the index up to date, and calls stored with each record of the log.
func (s *Service) follow(ctx context.Context, stored func(sequence uint64)) {
	began := time.Now()
	s.Log.Follow(ctx, deliverylog.Follower{
		Since: s.Bus.Now().Add(-status.ActivityPeriod), Newest: uint64(s.o.IndexRecords), //nolint:gosec // not below 0
		Notify: func(g deliverylog.RecordHeader) {
			s.index.Add(g)
			s.activity.Count(g)
			s.counter.Count(g)
			stored(g.Sequence)
			if s.keeper != nil {
				s.keeper.Stored(g)
			}
		},
		CaughtUp: func() {
			s.counter.CaughtUp()
			if s.activity.CaughtUp() {
				s.Logger.Info("delivery log read", logkey.Records, s.index.Len(), logkey.Duration,
					time.Since(began).Round(time.Millisecond).String())
			}
		},
		Again: func() {
			s.index.Reset()
			s.activity.Reset()
			s.counter.Reset()
			if s.keeper != nil {
				s.keeper.Again()
			}
		},
	})
}
