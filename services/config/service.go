// Package config is the service that owns the configuration: recipients, the SMTP relay, email retries, custom fields, event
// types and appliances. It alone writes them, tells the other services of changes, and keeps one durable consumer per
// recipient.
package config

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/egress"
	"github.com/outbound-events/outbound/pkg/filter"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/pkg/secret"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// Options are what the config service is started with.
type Options struct {
	// URLPolicy says which URLs recipients may have: `https`, `https-443` or `any`. Default https.
	URLPolicy string `yaml:"urlPolicy"`
	// AllowEgress and OwnServices are what the http-senders are started with, so that a recipient they would not reach is warned
	// about when it is saved. They forbid nothing here.
	AllowEgress []string `yaml:"allowEgress"`
	// OwnServices are addresses (host:port) of Outbound's own services and its broker. See AllowEgress.
	OwnServices []string `yaml:"ownServices"`
	// Proxied says that the http-senders go through a proxy: names are then the proxy's to look up, and not looked up here.
	Proxied bool `yaml:"proxied"`
	// ReconcileEvery is the pause between two full comparisons of recipients with their consumers and names. Default 1m.
	ReconcileEvery time.Duration `yaml:"reconcileEvery"`
	// OrphanAge is how old a half-made change must be before it is cleaned up: a name without its recipient. It must be longer
	// than a call may take and than the clocks of broker and service differ. Default 1m.
	OrphanAge time.Duration `yaml:"orphanAge"`
}

// DefaultOptions allows https alone and reconciles every minute.
func DefaultOptions() Options {
	return Options{URLPolicy: string(recipient.HTTPSOnly), ReconcileEvery: time.Minute, OrphanAge: time.Minute}
}

// Validate reports all faults with their paths.
func (o Options) Validate() error {
	var faults []error
	if _, err := recipient.ParseURLPolicy(o.URLPolicy); err != nil {
		faults = append(faults, fmt.Errorf("urlPolicy: %w", err))
	}
	for i, prefix := range o.AllowEgress {
		if _, err := egress.NewGuard([]string{prefix}, nil); err != nil {
			faults = append(faults, fmt.Errorf("allowEgress[%d]: %w", i, err))
		}
	}
	for i, own := range o.OwnServices {
		if _, err := egress.NewGuard(nil, []string{own}); err != nil {
			faults = append(faults, fmt.Errorf("ownServices[%d]: %w", i, err))
		}
	}
	if o.ReconcileEvery <= 0 {
		faults = append(faults, errors.New("reconcileEvery: must be more than 0, e.g. 1m"))
	}
	if o.OrphanAge <= 0 {
		faults = append(faults, errors.New("orphanAge: must be more than 0, e.g. 1m"))
	}
	return errors.Join(faults...)
}

// Deps are the open doors the service works through. The caller closes them after Run has returned.
type Deps struct {
	// Bus is the broker. The streams and buckets may be made later: the service waits for them.
	Bus *bus.Conn
	// Publisher sends test events.
	Publisher *bus.Publisher
	// Sealer seals secrets.
	Sealer *secret.Sealer
	// Resolver looks up where a new URL leads. Default: the system's.
	Resolver *net.Resolver
	// Logger is where the service says what it did on its own. Default: slog's.
	Logger *slog.Logger
}

// Service is the config service. Register makes its methods reachable, Run keeps watches and consumers going.
type Service struct {
	o         Options
	policy    recipient.URLPolicy
	bus       *bus.Conn
	publisher *bus.Publisher
	sealer    *secret.Sealer
	log       *slog.Logger
	validator *rpc.Validator
	// guard and resolver tell where a URL leads, for warnings.
	guard    *egress.Guard
	resolver *net.Resolver
	filters  *filter.Compiler

	recipients *bucket
	settings   *bucket
	// What the watch streams show.
	recipientSnapshot *snapshot[shownRecipients]
	settingsSnapshot  *snapshot[*outboundv1.WatchSettingsResponse]
	// bookmarkAsked says that somebody waits for a bookmark; bookmarkStreams counts the streams that get bookmarks.
	bookmarkAsked   chan struct{}
	bookmarkStreams atomic.Int64
	// locks are held while a recipient's consumer is changed.
	locks *locks
	// emptied are the queues whose beginning is being cancelled, or was.
	emptied *emptyings
	// delayed are what waits in the queues that are emptied or drained. It is the reconcile loop's own.
	delayed map[string]*bus.Delayed
	// quiet is since when the queue of a recipient being deleted has been empty. It is the reconcile loop's own.
	quiet map[string]time.Time
	// passwords hashes and compares; users is held by a change of a user, because the last admin must stay.
	passwords *passwords
	users     sync.Mutex
	// turn is held by the change of a recipient that is under way.
	turn chan struct{}
	// reconcileSoon asks for a reconcile pass now.
	reconcileSoon chan struct{}
	// inDryRun says that nothing that is done here is meant: the buckets are copies in memory, and no consumer is touched.
	inDryRun bool
	// withoutPrecheck spares the look at where URLs lead.
	withoutPrecheck bool
	// stopping is closed when Run begins to end, so that watch streams end.
	stopping chan struct{}
}

// New makes the service. It does not touch the broker yet.
func New(o Options, d Deps) (*Service, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("options of the config service: %w", err)
	}
	if d.Bus == nil || d.Publisher == nil || d.Sealer == nil {
		return nil, errors.New("the config service needs a broker, a publisher and a sealer")
	}
	v, err := rpc.NewValidator()
	if err != nil {
		return nil, err
	}
	guard, err := egress.NewGuard(o.AllowEgress, o.OwnServices)
	if err != nil {
		return nil, fmt.Errorf("options of the config service: %w", err)
	}
	filters, err := filter.NewCompiler()
	if err != nil {
		return nil, fmt.Errorf("create the config service: %w", err)
	}
	if d.Logger == nil {
		d.Logger = slog.Default()
	}
	return &Service{
		o: o, policy: recipient.URLPolicy(o.URLPolicy), bus: d.Bus, publisher: d.Publisher, sealer: d.Sealer, log: d.Logger, validator: v, guard: guard, resolver: d.Resolver, filters: filters,
		passwords:         newPasswords(),
		recipients:        newBucket(d.Bus, bus.BucketRecipients),
		settings:          newBucket(d.Bus, bus.BucketSettings),
		recipientSnapshot: newSnapshot[shownRecipients](), settingsSnapshot: newSnapshot[*outboundv1.WatchSettingsResponse](),
		bookmarkAsked: make(chan struct{}, 1),
		locks:         newLocks(), emptied: newEmptyings(), delayed: map[string]*bus.Delayed{}, quiet: map[string]time.Time{},
		turn: make(chan struct{}, 1), reconcileSoon: make(chan struct{}, 1), stopping: make(chan struct{}),
	}, nil
}

// Register makes RecipientService and SettingsService reachable on a server.
func (s *Service) Register(r grpc.ServiceRegistrar) {
	outboundv1.RegisterRecipientServiceServer(r, recipientServer{Service: s})
	outboundv1.RegisterSettingsServiceServer(r, settingsServer{Service: s})
	outboundv1.RegisterAccessServiceServer(r, accessServer{Service: s})
}

// Run watches the buckets for the streams, reconciles consumers, and returns nil soon after ctx has ended. It is called once.
func (s *Service) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { s.follow(ctx, s.recipients, s.loadRecipients) })
	wg.Go(func() { s.follow(ctx, s.settings, s.loadSettings) })
	wg.Go(func() { s.bookmarkLoop(ctx) })
	wg.Go(func() { s.reconcileLoop(ctx) })
	wg.Go(func() { s.relieveLoop(ctx) })
	<-ctx.Done()
	close(s.stopping)
	wg.Wait()
	return nil
}

// recipientServer and settingsServer are the two faces of the service on gRPC.
type recipientServer struct {
	outboundv1.UnimplementedRecipientServiceServer
	*Service
}

type settingsServer struct {
	outboundv1.UnimplementedSettingsServiceServer
	*Service
}

type accessServer struct {
	outboundv1.UnimplementedAccessServiceServer
	*Service
}
