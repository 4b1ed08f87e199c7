package allinone

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/outbound-events/outbound/pkg/attemptlog"
	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/embed"
	"github.com/outbound-events/outbound/pkg/configclient"
	"github.com/outbound-events/outbound/pkg/process"
	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/pkg/telemetry"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config"
	"github.com/outbound-events/outbound/services/console"
	"github.com/outbound-events/outbound/services/emailsender"
	"github.com/outbound-events/outbound/services/history"
	"github.com/outbound-events/outbound/services/httpsender"
	"github.com/outbound-events/outbound/services/ingest"
)

// furnish makes the services and names their tasks. Those named later stop earlier.
func (h *house) furnish(ctx context.Context) error {
	core, err := h.connect(ctx, "core")
	if err != nil {
		return err
	}
	h.core, h.group.Hopeless = core, core.Silent()
	if err := core.EnsureStreams(ctx, h.o.Streams); err != nil {
		return err
	}
	publisher, log := bus.NewPublisher(core), bus.NewHistory(core)
	h.later(publisher.Close)
	h.later(log.Close)
	if err := h.watchConfig(); err != nil {
		return err
	}
	o := h.o.Config
	o.OwnServices = append(h.own(), o.OwnServices...)
	settings, err := config.New(o, config.Deps{Bus: core, Publisher: publisher, Sealer: h.secrets.sealer, Logger: h.telemetry.Logger})
	if err != nil {
		return err
	}
	past, err := history.New(h.o.History, history.Deps{Bus: core, Log: log, Publisher: publisher, Config: h.watch, Broker: h.durability(), Version: process.Version(), FreeBytes: h.broker.FreeBytes})
	if err != nil {
		return err
	}
	intake, err := h.takeIn(ctx)
	if err != nil {
		return err
	}
	h.group.Add("presence", func(ctx context.Context) error { return core.Announce(ctx, present()...) })
	h.group.Add("config", settings.Run)
	if err := h.senders(ctx); err != nil {
		return err
	}
	h.group.Add("history", past.Run)
	h.group.Add("intake", intake.Run)
	h.serve(settings, past, intake)
	return h.front(core, intake)
}

// present are the services of this process, each by its name.
func present() []bus.Presence {
	here := bus.NewPresence("", process.Version())
	var out []bus.Presence
	for _, name := range []string{"config", "ingest", "http-sender", "email-sender", "history", "console"} {
		here.Name = name
		out = append(out, here)
	}
	return out
}

// watchConfig makes the one client of the config service that all services here share, and lets it tell the broker of
// appliances.
func (h *house) watchConfig() error {
	h.local = rpc.NewLocal()
	conn, err := h.local.Dial(h.secrets.tokens.Service)
	if err != nil {
		return err
	}
	h.later(func() { _ = conn.Close() })
	o := configclient.Options{Settings: true, Bookmarks: true, Sealer: h.secrets.sealer, Logger: h.telemetry.Logger}
	h.watch = configclient.New(conn, o)
	h.watch.OnChange(func() {
		appliances := h.watch.Settings().Appliances
		known := make([]embed.Appliance, 0, len(appliances))
		for id, a := range appliances {
			known = append(known, embed.Appliance{ID: id, PasswordBcrypt: a.PasswordBcrypt})
		}
		if err := h.broker.SetAppliances(known); err != nil {
			h.telemetry.Logger.Error("the broker did not take the appliances", "error", err.Error())
		}
	})
	return nil
}

func (h *house) durability() history.Broker {
	if h.o.Sync == SyncAlways {
		return history.EmbeddedAlways
	}
	return history.EmbeddedInterval
}

func (h *house) takeIn(ctx context.Context) (*ingest.Service, error) {
	conn, err := h.connect(ctx, "ingest")
	if err != nil {
		return nil, err
	}
	return ingest.New(h.o.Ingest, ingest.Deps{Bus: conn, Config: h.watch, Observer: telemetry.NewIntakeObserver(h.telemetry.Registry), Logger: h.telemetry.Logger, Version: process.Version()})
}

// own are the addresses of this process, which are never posted to.
func (h *house) own() []string {
	return []string{h.http.Addr().String(), h.grpc.Addr().String(), h.broker.Addr()}
}

// senders makes both senders, each with a connection of its own.
func (h *house) senders(ctx context.Context) error {
	observer := attemptlog.New(h.telemetry)
	o := h.o.HTTPSender
	o.OwnServices = append(h.own(), o.OwnServices...)
	conn, err := h.connect(ctx, "http-sender")
	if err != nil {
		return err
	}
	byHTTP, err := httpsender.New(o, httpsender.Deps{Bus: conn, Config: h.watch, Observer: observer, Version: process.Version()})
	if err != nil {
		return err
	}
	if conn, err = h.connect(ctx, "email-sender"); err != nil {
		return err
	}
	byEmail, err := emailsender.New(h.o.EmailSender, emailsender.Deps{Bus: conn, Config: h.watch, Observer: observer})
	if err != nil {
		return err
	}
	h.group.Add("http-sender", byHTTP.Run)
	h.group.Add("email-sender", byEmail.Run)
	return nil
}

// serve answers gRPC, on the network and inside this process.
func (h *house) serve(settings *config.Service, past *history.Service, intake *ingest.Service) {
	tokens := rpc.Authenticators{h.secrets.tokens, ingest.NewApplianceTokens(h.watch), settings.Tokens()}
	h.server = rpc.NewServer(rpc.ServerOptions{Authenticator: tokens, Logger: h.telemetry.Logger, Stop: h.stop, HandlerValidates: config.HandlerValidates()})
	settings.Register(h.server)
	outboundv1.RegisterDeliveryServiceServer(h.server, past.Deliveries())
	outboundv1.RegisterStatusServiceServer(h.server, past.Status())
	outboundv1.RegisterEventServiceServer(h.server, events{EventServiceServer: past.Events(), intake: intake})
	h.local.Serve(h.server)
	h.group.Add("gRPC", func(ctx context.Context) error {
		context.AfterFunc(ctx, func() { close(h.stop) })
		return rpc.Serve(ctx, h.server, h.grpc)
	})
	// The watch stops before its server does; the senders go on with what it has told.
	h.group.Add("configuration", h.watch.Run)
}

// front answers HTTP: REST through the same in-process server, with the callers' own tokens.
func (h *house) front(core *bus.Conn, intake *ingest.Service) error {
	conn, err := h.local.Dial("")
	if err != nil {
		return err
	}
	h.later(func() { _ = conn.Close() })
	signed, err := h.local.Dial(h.secrets.tokens.Service)
	if err != nil {
		return err
	}
	h.later(func() { _ = signed.Close() })
	ops := process.Ops{Metrics: h.telemetry.MetricsHandler(), Checks: []process.Check{
		{Name: "broker", Ask: func(context.Context) error {
			if !core.Connected() {
				return errors.New("the broker is away")
			}
			return nil
		}},
		{Name: "intake", Ask: intake.Ready},
	}}
	web, err := console.New(h.o.Console, console.Deps{
		Config: conn, Ingest: conn, History: conn, Signed: console.Neighbours{Config: signed, Ingest: signed, History: signed},
		Ops: ops, Listener: h.http, Logger: h.telemetry.Logger, Version: process.Version(), FirstStart: h.firstStart,
	})
	if err != nil {
		return err
	}
	h.group.Add("HTTP", web.Run)
	h.intake = intake
	return nil
}

// readyPoll is the pause between two looks whether intake is ready.
const readyPoll = 5 * time.Millisecond

// announce writes endpoints.json once events are taken in.
func (s *Service) announce(ctx context.Context, h *house) error {
	tick := time.NewTicker(readyPoll)
	defer tick.Stop()
	for h.intake.Ready(ctx) != nil {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
	e := Endpoints{HTTP: h.http.Addr().String(), GRPC: h.grpc.Addr().String(), NATS: h.broker.Addr()}
	if err := writeEndpoints(h.o.Data, e); err != nil {
		return err
	}
	h.telemetry.Logger.InfoContext(ctx, "ready", "http", e.HTTP, "grpc", e.GRPC, "nats", e.NATS, "data", h.o.Data)
	s.ready <- e
	return nil
}

func splitAddress(address string) (host string, port int, err error) {
	host, p, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, fmt.Errorf("%q is not host:port: %w", address, err)
	}
	if port, err = strconv.Atoi(p); err != nil || port < 0 || port > 65535 {
		return "", 0, fmt.Errorf("%q is not a port", p)
	}
	return host, port, nil
}
