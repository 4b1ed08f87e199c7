package allinone

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"time"

	"google.golang.org/grpc"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/embed"
	"github.com/outbound-events/outbound/pkg/bus/storecheck"
	"github.com/outbound-events/outbound/pkg/bus/storefile"
	"github.com/outbound-events/outbound/pkg/configclient"
	"github.com/outbound-events/outbound/pkg/notice"
	"github.com/outbound-events/outbound/pkg/pki"
	"github.com/outbound-events/outbound/pkg/process"
	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/pkg/secret"
	"github.com/outbound-events/outbound/pkg/telemetry"
	"github.com/outbound-events/outbound/services/ingest"
	"github.com/outbound-events/outbound/services/internal/setup"
)

// Service is the whole of Outbound in one process.
type Service struct {
	o     Options
	ready chan Endpoints
	first chan string
	// start starts the broker.
	start func(embed.Options) (*embed.Server, error)
}

// New makes the service; Run starts it.
func New(o Options) (*Service, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("options of the all-in-one: %w", err)
	}
	return &Service{o: o, ready: make(chan Endpoints, 1), first: make(chan string, 1), start: embed.Start}, nil
}

// FirstStart gives the one-time link by which the first admin is made, if there is no user yet.
func (s *Service) FirstStart() <-chan string { return s.first }

// Ready gives the chosen addresses once events are taken in and delivered.
func (s *Service) Ready() <-chan Endpoints { return s.ready }

// runtime is what Run opens and closes.
type runtime struct {
	o         Options
	telemetry *telemetry.Telemetry
	notices   *notice.Board
	secrets   secrets
	// brokerKey is what the broker's files are encrypted with; empty: they are not.
	brokerKey string
	// files are the certificate of the listeners; nil without TLS.
	files  *pki.Files
	http   net.Listener
	grpc   net.Listener
	broker *embed.Server
	server *grpc.Server
	local  *rpc.Local
	// publish hands events of POST /v1/events to intake.
	publish *rpc.Direct
	stop    chan struct{}
	watch   *configclient.Client
	intake  *ingest.Service
	group   process.Group
	// core is the connection of what has none of its own.
	core *bus.Conn
	// store watches whether the broker stores what it is given.
	store *bus.StoreWatch
	// inventory watches over what the broker keeps.
	inventory *storecheck.Watcher
	close     []func()
	// firstStart is called with the one-time link; start starts the broker.
	firstStart func(link string)
	start      func(embed.Options) (*embed.Server, error)
}

func (r *runtime) onClose(f func()) { r.close = append(r.close, f) }

func (r *runtime) closeAll() {
	for i := len(r.close) - 1; i >= 0; i-- {
		r.close[i]()
	}
}

// Run opens the doors, runs the services until ctx ends, and closes in order: intake first, then the senders once what is
// under way is recorded, the broker last.
func (s *Service) Run(ctx context.Context) error {
	r := &runtime{o: s.o, stop: make(chan struct{}), start: s.start, firstStart: func(link string) { s.first <- link }}
	defer r.closeAll()
	if err := r.open(ctx); err != nil {
		return err
	}
	if err := r.wire(ctx); err != nil {
		return err
	}
	r.group.Add("ready", func(ctx context.Context) error { return s.announce(ctx, r) })
	return r.group.Run(ctx)
}

// open opens telemetry, files, listeners and the broker.
func (r *runtime) open(ctx context.Context) (err error) {
	r.o.Telemetry.Service, r.o.Telemetry.Version = "outbound", process.Version()
	if r.telemetry, err = telemetry.Setup(ctx, r.o.Telemetry); err != nil {
		return err
	}
	r.notices = notice.NewBoard(r.telemetry.Logger)
	r.onClose(func() { _ = r.telemetry.Shutdown(context.WithoutCancel(ctx)) })
	if r.brokerKey, err = secret.BrokerKey(r.o.JetStreamKey); err != nil {
		return fmt.Errorf("--jetstream-key: %w", err)
	}
	if err := r.checkFiles(ctx); err != nil {
		return err
	}
	if r.secrets, err = openSecrets(r.o); err != nil {
		return err
	}
	if err := r.openTLS(); err != nil {
		return err
	}
	if r.http, err = process.Listen("--http", r.o.HTTP); err != nil {
		return err
	}
	r.http = setup.LimitConnections(r.http, r.o.Connections, setup.Refusal(r.tlsConfig()), r.telemetry.Logger)
	r.http = pki.Listener(r.http, r.tlsConfig())
	r.onClose(func() { _ = r.http.Close() })
	if r.grpc, err = process.Listen("--grpc", r.o.GRPC); err != nil {
		return err
	}
	r.grpc = setup.LimitConnections(r.grpc, r.o.Connections, "", r.telemetry.Logger)
	r.onClose(func() { _ = r.grpc.Close() })
	host, port, err := splitAddress(r.o.NATS)
	if err != nil {
		return fmt.Errorf("--nats: %w", err)
	}
	r.broker, err = r.start(embed.Options{StoreDir: filepath.Join(r.o.Data, folderBroker), Host: host, Port: port,
		GroupSync: r.o.Sync == SyncAlways, Key: r.brokerKey, Logger: r.telemetry.Logger, TLS: r.tlsConfig(),
		Limits: embed.Limits{Connections: r.o.NATSConnections, Subscriptions: r.o.NATSSubscriptions}})
	if err != nil {
		return brokerFault(r.o, err)
	}
	r.onClose(r.shutdown)
	if d := r.broker.Disk(); d != nil {
		r.telemetry.Syncs(d.Syncs)
	}
	return removeEndpoints(r.o.Data)
}

// silentShutdown is how long a broker that answers nothing may take to shut down.
const silentShutdown = 2 * time.Second

// shutdown ends the broker in order, unless it answers nothing.
func (r *runtime) shutdown() {
	if r.core != nil {
		select {
		case <-r.core.Silent():
			r.broker.ShutdownWithin(silentShutdown)
			return
		default:
		}
	}
	r.broker.Shutdown()
}

// brokerFault names the flag that has to do with why the broker could not be started.
func brokerFault(o Options, err error) error {
	var listening *net.OpError
	if errors.As(err, &listening) {
		return fmt.Errorf("--nats %s: %w", o.NATS, err)
	}
	if errors.Is(err, storefile.ErrKey) {
		given := "not given"
		if o.JetStreamKey != "" {
			given = o.JetStreamKey
		}
		return fmt.Errorf("--jetstream-key (%s): %w", given, err)
	}
	return fmt.Errorf("--data %s: %w", o.Data, err)
}

// connect opens a connection of its own to the broker, as each service has one when it runs alone.
func (r *runtime) connect(ctx context.Context, name string) (*bus.Conn, error) {
	o := bus.Options{Name: "outbound " + name, User: embed.CoreUser, Password: r.broker.CorePassword(), InProcess: r.broker,
		Relaxed: r.o.Sync == SyncInterval, Clock: process.Clock(), Logger: r.telemetry.Logger,
		Notice: func(text string) { r.notices.Set("broker."+name, text) }}
	if d := r.broker.Disk(); d != nil {
		o.Disk = d
	}
	c, err := bus.Connect(ctx, o)
	if err != nil {
		return nil, err
	}
	if r.store != nil {
		r.store.Attach(c)
	}
	r.onClose(c.Close)
	asked := context.AfterFunc(ctx, c.Ending)
	r.onClose(func() { asked() })
	return c, nil
}
