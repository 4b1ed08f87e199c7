package config

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/accounts"
	"github.com/outbound-events/outbound/pkg/bus/auditlog"
	"github.com/outbound-events/outbound/pkg/egress"
	"github.com/outbound-events/outbound/pkg/filter"
	"github.com/outbound-events/outbound/pkg/notice"
	"github.com/outbound-events/outbound/pkg/process"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/pkg/secret"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config/internal/access"
	"github.com/outbound-events/outbound/services/config/internal/audits"
	"github.com/outbound-events/outbound/services/config/internal/backups"
	"github.com/outbound-events/outbound/services/config/internal/brokeraccounts"
	"github.com/outbound-events/outbound/services/config/internal/keys"
	"github.com/outbound-events/outbound/services/config/internal/recipients"
	"github.com/outbound-events/outbound/services/config/internal/reconcile"
	"github.com/outbound-events/outbound/services/config/internal/revisions"
	"github.com/outbound-events/outbound/services/config/internal/store"
	"github.com/outbound-events/outbound/services/config/internal/watch"
)

// Options are what the config service is started with.
type Options struct {
	// URLPolicy is which URLs recipients may have: `https`, `https-443` or `any`. Default https.
	URLPolicy string `yaml:"urlPolicy"`
	// AllowEgress and OwnServices are those of the http-senders. A recipient that they can't reach is saved with a warning.
	AllowEgress []string `yaml:"allowEgress"`
	// OwnServices are addresses (host:port) of Outbound's own services and its broker. See AllowEgress.
	OwnServices []string `yaml:"ownServices"`
	// Proxied says that the http-senders use a proxy, which looks up names. They are not looked up here.
	Proxied bool `yaml:"proxied"`
	// ReconcileEvery is the pause between two full comparisons of recipients with their consumers and names. Default 1m.
	ReconcileEvery time.Duration `yaml:"reconcileEvery"`
	// OrphanAge is how old a half-made change must be before it is cleaned up: a name without its recipient. It must be longer than a call
	// and the clock skew between broker and service. Default 1m.
	OrphanAge time.Duration `yaml:"orphanAge"`
	// Audit says where entries of the audit log are sent on to.
	Audit AuditOptions `yaml:"audit"`
}

// AuditOptions say where entries of the audit log are sent on to.
type AuditOptions = audits.Options

// DefaultOptions allows only https and reconciles every minute.
func DefaultOptions() Options {
	return Options{URLPolicy: string(recipient.HTTPSOnly), ReconcileEvery: time.Minute, OrphanAge: time.Minute,
		Audit: audits.DefaultOptions()}
}

// Validate reports all faults with their paths.
func (o Options) Validate() error {
	var f process.Faults
	_, err := recipient.ParseURLPolicy(o.URLPolicy)
	f.Within("urlPolicy", err)
	f.Within("", egress.ValidateRules(o.AllowEgress, o.OwnServices))
	f.Within("audit", o.Audit.Validate())
	if o.ReconcileEvery <= 0 {
		f.Add("reconcileEvery", "must be more than 0, e.g. 1m")
	}
	if o.OrphanAge <= 0 {
		f.Add("orphanAge", "must be more than 0, e.g. 1m")
	}
	return f.Err()
}

// Deps are what the service works with. The caller closes them after Run has returned.
type Deps struct {
	// Bus is the broker. The service waits for streams and buckets that do not exist yet.
	Bus *bus.Conn
	// Publisher sends test events.
	Publisher *bus.Publisher
	// Sealer seals secrets.
	Sealer *secret.Sealer
	// Resolver looks up the hosts of new URLs. Default: the system's.
	Resolver *net.Resolver
	// Logger logs what the service does in the background. Default: slog's.
	Logger *slog.Logger
	// Notices take what people must know. Nil: nobody is told.
	Notices *notice.Board
	// KeysSettledFor is how long no sender may have come or gone before a sealing key that was replaced is dropped. Default 10s.
	KeysSettledFor time.Duration
	// Accounts makes the accounts of appliances at a broker in operator mode. Nil: the broker knows its users itself.
	Accounts *accounts.Resolver
	// Hold returns nil if this process, and no other, may change something now. Nil: there is no other.
	Hold func(ctx context.Context) error
}

// Service is the config service. Register adds its gRPC services to a server; Run keeps streams and consumers up to date.
type Service struct {
	options Options
	deps    Deps
	rules   *rpc.Validator
	guard   *egress.Guard
	filters *filter.Compiler

	recipientsKV, settingsKV *store.KV
	// live are the recipients and settings in the buckets.
	live      *resources
	access    *access.Access
	backups   *backups.Backups
	keys      *keys.Keys
	audits    *audits.Audits
	revisions *revisions.Revisions
	tester    *recipients.Tester
	previewer *recipients.Previewer
	// The state that the watch streams send.
	recipientFeed *watch.RecipientFeed
	settingsFeed  *watch.SettingsFeed

	reconciler     *reconcile.Reconciler
	backlogLimiter *reconcile.BacklogLimiter
	// accounts is nil if the broker knows its users itself.
	accounts *brokeraccounts.Keeper
}

// New returns the service. It does not connect to the broker yet.
func New(o Options, d Deps) (*Service, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("options of the config service: %w", err)
	}
	if d.Bus == nil || d.Publisher == nil || d.Sealer == nil {
		return nil, errors.New("the config service needs a broker, a publisher and a sealer")
	}
	rules, err := rpc.NewValidator()
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
		d.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Service{
		options: o, deps: d, rules: rules, guard: guard, filters: filters,
		recipientsKV: store.NewKV(d.Bus, bus.BucketRecipients, d.Hold),
		settingsKV:   store.NewKV(d.Bus, bus.BucketSettings, d.Hold),
	}
	s.audits, err = audits.New(audits.Deps{Log: auditlog.New(d.Bus), Notices: d.Notices, Logger: d.Logger, Options: o.Audit, Hold: d.Hold})
	if err != nil {
		return nil, fmt.Errorf("options of the config service: %w", err)
	}
	s.wire()
	return s, nil
}

// wire makes the parts of the service on the buckets.
func (s *Service) wire() {
	d := s.deps
	consumers := reconcile.NewConsumers(d.Bus, store.NewRecipients(s.recipientsKV), d.Logger, d.Hold)
	s.live = s.newResources(stores{recipients: s.recipientsKV, settings: s.settingsKV}, consumers, s.prechecker())
	s.access = access.New(store.NewParts(s.settingsKV), store.NewRecipients(s.recipientsKV), s.rules, d.Bus.Now)
	s.keys = keys.New(keys.Deps{Bus: d.Bus, Recipients: s.recipientsKV, Settings: s.settingsKV, Sealer: d.Sealer, Notices: d.Notices,
		Logger: d.Logger, SettledFor: d.KeysSettledFor})
	s.backups = backups.New(backups.Deps{
		Bus: d.Bus, Recipients: store.NewRecipients(s.recipientsKV), Parts: store.NewParts(s.settingsKV), Sealer: d.Sealer, Logger: d.Logger,
	})
	s.revisions = revisions.New(revisions.Deps{
		RecipientsKV: s.recipientsKV, SettingsKV: s.settingsKV, Recipients: s.live.Recipients, Settings: s.live.Settings,
	})
	s.recipientsKV.OnApplied(s.revisions.Trail)
	s.settingsKV.OnApplied(s.revisions.Trail)
	s.tester = recipients.NewTester(recipients.TesterDeps{
		Recipients: s.live.Recipients, Settings: s.live.Settings, Filters: s.filters, Bus: d.Bus, Publisher: d.Publisher, Logger: d.Logger,
	})
	s.previewer = recipients.NewPreviewer(s.live.Recipients, s.live.Settings, s.filters, d.Bus)
	feed := watch.Deps{KV: s.recipientsKV, Reconnected: consumers.ReconcileSoon, Logger: d.Logger}
	s.recipientFeed = watch.NewRecipientFeed(d.Bus, feed)
	feed.KV = s.settingsKV
	s.settingsFeed = watch.NewSettingsFeed(feed, s.live.All, s.keys.Watching)
	s.reconciler = reconcile.New(reconcile.Deps{
		Entries: s.recipientsKV, Names: store.NewNames(s.recipientsKV, s.options.OrphanAge, d.Bus.Now), Consumers: consumers,
		Every: s.options.ReconcileEvery, Notices: d.Notices,
	})
	s.backlogLimiter = reconcile.NewBacklogLimiter(consumers, s.live.Recipients)
	if d.Accounts != nil {
		s.accounts = brokeraccounts.New(brokeraccounts.Deps{Resolver: d.Accounts, Settings: s.settingsFeed,
			Every: s.options.ReconcileEvery, Hold: d.Hold, Notices: d.Notices, Logger: d.Logger})
		s.live.OnIssue(s.accounts.Grant)
	}
}

// prechecker returns what checks whether the senders can reach a URL.
func (s *Service) prechecker() recipients.Prechecker {
	return recipients.EgressPrechecker{Guard: s.guard, Resolver: s.deps.Resolver, Proxied: s.options.Proxied}
}

// Open reads the sealing keys, and checks that they open what is stored. The streams exist by then. It is called before Register, and once
// this process alone changes the configuration.
func (s *Service) Open(ctx context.Context) error { return s.keys.Open(ctx) }

// Register adds RecipientService, SettingsService, AccessService, BackupService, AuditService and KeyService to a server.
func (s *Service) Register(r grpc.ServiceRegistrar) {
	outboundv1.RegisterRecipientServiceServer(r, recipientServer{
		Recipients: s.live.Recipients, Tester: s.tester, Previewer: s.previewer, RecipientFeed: s.recipientFeed, service: s,
	})
	outboundv1.RegisterSettingsServiceServer(r, settingsServer{
		Settings: s.live.Settings, Revisions: s.revisions, SettingsFeed: s.settingsFeed, service: s,
	})
	outboundv1.RegisterAccessServiceServer(r, accessServer{Access: s.access})
	outboundv1.RegisterBackupServiceServer(r, s.backups)
	outboundv1.RegisterAuditServiceServer(r, s.audits)
	outboundv1.RegisterKeyServiceServer(r, s.keys)
}

// Tokens authenticates API tokens by the settings that this service streams to the others.
func (s *Service) Tokens() rpc.Authenticator {
	return access.NewAuthenticator(s.settingsFeed.Latest, s.deps.Bus.Now)
}

// Run watches the buckets, reconciles consumers, and returns nil soon after ctx has ended. It is called once.
func (s *Service) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { s.recipientFeed.Run(ctx) })
	wg.Go(func() { s.settingsFeed.Run(ctx) })
	wg.Go(func() { s.reconciler.Run(ctx) })
	wg.Go(func() { s.backlogLimiter.Run(ctx) })
	wg.Go(func() { s.audits.Run(ctx) })
	wg.Go(func() { s.keys.Run(ctx) })
	if s.accounts != nil {
		wg.Go(func() { s.accounts.Run(ctx) })
	}
	wg.Wait()
	return nil
}
