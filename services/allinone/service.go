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
	"github.com/outbound-events/outbound/pkg/configclient"
	"github.com/outbound-events/outbound/pkg/process"
	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/pkg/telemetry"
	"github.com/outbound-events/outbound/services/ingest"
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

// house is what Run opens and closes.
type house struct {
	o         Options
	telemetry *telemetry.Telemetry
	secrets   secrets
	http      net.Listener
	grpc      net.Listener
	broker    *embed.Server
	server    *grpc.Server
	local     *rpc.Local
	stop      chan struct{}
	watch     *configclient.Client
	intake    *ingest.Service
	group     process.Group
	// core is the connection of what has none of its own.
	core  *bus.Conn
	close []func()
	// firstStart is told the one-time link, start starts the broker.
	firstStart func(link string)
	start      func(embed.Options) (*embed.Server, error)
}

func (h *house) later(f func()) { h.close = append(h.close, f) }

func (h *house) closeAll() {
	for i := len(h.close) - 1; i >= 0; i-- {
		h.close[i]()
	}
}

// Run opens the doors, runs the services until ctx ends, and closes in order: intake first, then the senders once what is
// under way is recorded, the broker last.
func (s *Service) Run(ctx context.Context) error {
	h := &house{o: s.o, stop: make(chan struct{}), start: s.start, firstStart: func(link string) { s.first <- link }}
	defer h.closeAll()
	if err := h.open(ctx); err != nil {
		return err
	}
	if err := h.furnish(ctx); err != nil {
		return err
	}
	h.group.Add("ready", func(ctx context.Context) error { return s.announce(ctx, h) })
	return h.group.Run(ctx)
}

// open opens telemetry, files, listeners and the broker.
func (h *house) open(ctx context.Context) (err error) {
	h.o.Telemetry.Service, h.o.Telemetry.Version = "outbound", process.Version()
	if h.telemetry, err = telemetry.Setup(ctx, h.o.Telemetry); err != nil {
		return err
	}
	h.later(func() { _ = h.telemetry.Shutdown(context.WithoutCancel(ctx)) })
	if h.secrets, err = openSecrets(h.o.Data); err != nil {
		return err
	}
	if h.http, err = process.Listen("--http", h.o.HTTP); err != nil {
		return err
	}
	h.later(func() { _ = h.http.Close() })
	if h.grpc, err = process.Listen("--grpc", h.o.GRPC); err != nil {
		return err
	}
	h.later(func() { _ = h.grpc.Close() })
	host, port, err := splitAddress(h.o.NATS)
	if err != nil {
		return fmt.Errorf("--nats: %w", err)
	}
	h.broker, err = h.start(embed.Options{StoreDir: filepath.Join(h.o.Data, folderBroker), Host: host, Port: port, SyncAlways: h.o.Sync == SyncAlways, Logger: h.telemetry.Logger})
	if err != nil {
		return brokerFault(h.o, err)
	}
	h.later(h.shutdown)
	return removeEndpoints(h.o.Data)
}

// silentShutdown is how long a broker that answers nothing may take to shut down.
const silentShutdown = 2 * time.Second

// shutdown ends the broker in order, unless it answers nothing.
func (h *house) shutdown() {
	if h.core != nil {
		select {
		case <-h.core.Silent():
			h.broker.ShutdownWithin(silentShutdown)
			return
		default:
		}
	}
	h.broker.Shutdown()
}

// brokerFault names the flag that has to do with why the broker could not be started.
func brokerFault(o Options, err error) error {
	var listening *net.OpError
	if errors.As(err, &listening) {
		return fmt.Errorf("--nats %s: %w", o.NATS, err)
	}
	return fmt.Errorf("--data %s: %w", o.Data, err)
}

// connect opens a connection of its own to the broker, as each service has one when it runs alone.
func (h *house) connect(ctx context.Context, name string) (*bus.Conn, error) {
	c, err := bus.Connect(ctx, bus.Options{Name: "outbound " + name, User: embed.CoreUser, Password: h.broker.CorePassword(), InProcess: h.broker, Relaxed: h.o.Sync == SyncInterval})
	if err != nil {
		return nil, err
	}
	h.later(c.Close)
	asked := context.AfterFunc(ctx, c.Ending)
	h.later(func() { asked() })
	return c, nil
}
