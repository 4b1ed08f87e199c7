package allinone

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/auditlog"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/bus/embed"
	"github.com/outbound-events/outbound/pkg/configclient"
	"github.com/outbound-events/outbound/pkg/deliverytelemetry"
	"github.com/outbound-events/outbound/pkg/logkey"
	"github.com/outbound-events/outbound/pkg/process"
	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/pkg/rpc/audited"
	"github.com/outbound-events/outbound/pkg/telemetry"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config"
	"github.com/outbound-events/outbound/services/console"
	"github.com/outbound-events/outbound/services/emailsender"
	"github.com/outbound-events/outbound/services/history"
	"github.com/outbound-events/outbound/services/httpsender"
	"github.com/outbound-events/outbound/services/ingest"
	"github.com/outbound-events/outbound/services/internal/setup"
)

// wire makes the services and names their tasks. Those named later stop earlier.
func (r *runtime) wire(ctx context.Context) error {
	core, err := r.connect(ctx, "core")
	if err != nil {
		return err
	}
	r.core, r.group.Hopeless = core, core.Silent()
	if err := r.openStore(ctx, core); err != nil {
		return err
	}
	r.keepStore(core)
	publisher, log := bus.NewPublisher(core), deliverylog.New(core)
	r.onClose(publisher.Close)
	r.onClose(log.Close)
	if err := r.watchConfig(); err != nil {
		return err
	}
	o := r.o.Config
	o.OwnServices = append(r.own(), o.OwnServices...)
	settings, err := config.New(o, config.Deps{Bus: core, Publisher: publisher, Sealer: r.secrets.sealer, Logger: r.telemetry.Logger,
		Notices: r.notices})
	if err != nil {
		return err
	}
	if err := r.openKeys(ctx, settings); err != nil {
		return err
	}
	past, err := history.New(r.o.History, history.Deps{Bus: core, Log: log, Publisher: publisher, Config: r.watch, Broker: r.durability(),
		Version: process.Version(), FreeBytes: r.broker.FreeBytes, Telemetry: r.telemetry, Logger: r.telemetry.Logger,
		Checkpoints: r.secrets.checkpoints})
	if err != nil {
		return err
	}
	intake, err := r.takeIn(ctx)
	if err != nil {
		return err
	}
	r.group.Add("presence", func(ctx context.Context) error { return control.New(core).Announce(ctx, r.notices.All, present()...) })
	r.group.Add("clock", func(ctx context.Context) error {
		setup.WatchClock(ctx, core, setup.ClockReport{Name: "outbound", Notices: r.notices, Telemetry: r.telemetry})
		return nil
	})
	r.group.Add("config", settings.Run)
	if err := r.senders(ctx); err != nil {
		return err
	}
	r.group.Add("history", past.Run)
	r.group.Add("intake", intake.Run)
	r.serve(settings, past, intake)
	return r.front(core, intake)
}

// present are the services of this process, each by its name.
func present() []control.Presence {
	here := control.NewPresence("", process.Version())
	var out []control.Presence
	for _, name := range []string{"config", "ingest", "http-sender", "email-sender", "history", "console"} {
		here.Name = name
		out = append(out, here)
	}
	return out
}

// watchConfig creates the client of the config service that all services share, and updates the broker with
// appliances.
func (r *runtime) watchConfig() error {
	r.local = rpc.NewLocal()
	conn, err := r.local.Dial(r.secrets.tokens.Service)
	if err != nil {
		return err
	}
	r.onClose(func() { _ = conn.Close() })
	o := configclient.Options{Settings: true, Bookmarks: true, Sealer: r.secrets.sealer, Logger: r.telemetry.Logger, Name: "outbound"}
	r.watch = configclient.New(conn, o)
	r.watch.OnChange(func() {
		if r.watch.Told() != nil {
			return // recipients came first: appliances that connect wait on
		}
		appliances := r.watch.Settings().Appliances
		known := make([]embed.Appliance, 0, len(appliances))
		for id, a := range appliances {
			known = append(known, embed.Appliance{ID: id, PasswordBcrypt: a.PasswordBcrypt})
		}
		if err := r.broker.SetAppliances(known); err != nil {
			r.telemetry.Logger.Error("broker accounts of appliances not updated", telemetry.KeyError, err.Error())
		}
	})
	return nil
}

func (r *runtime) durability() history.Broker {
	if r.o.Sync == SyncAlways {
		return history.EmbeddedAlways
	}
	return history.EmbeddedInterval
}

func (r *runtime) takeIn(ctx context.Context) (*ingest.Service, error) {
	conn, err := r.connect(ctx, "ingest")
	if err != nil {
		return nil, err
	}
	return ingest.New(r.o.Ingest, ingest.Deps{Bus: conn, Config: r.watch, Observer: telemetry.NewIntakeObserver(r.telemetry.Registry),
		Logger: r.telemetry.Logger, Version: process.Version(), Store: r.store.Err, Notices: r.notices})
}

// own are the addresses of this process, which are never posted to.
func (r *runtime) own() []string {
	own := []string{r.http.Addr().String(), r.grpc.Addr().String(), r.broker.Addr()}
	if metrics := r.telemetry.MetricsAddr(); metrics != "" {
		own = append(own, metrics)
	}
	return own
}

// senders makes both senders, each with a connection of its own.
func (r *runtime) senders(ctx context.Context) error {
	observer := deliverytelemetry.New(r.telemetry)
	o := r.o.HTTPSender
	o.OwnServices = append(r.own(), o.OwnServices...)
	conn, err := r.connect(ctx, "http-sender")
	if err != nil {
		return err
	}
	byHTTP, err := httpsender.New(o, httpsender.Deps{Bus: conn, Config: r.watch, Observer: observer, Version: process.Version(),
		Logger: r.telemetry.Logger})
	if err != nil {
		return err
	}
	if conn, err = r.connect(ctx, "email-sender"); err != nil {
		return err
	}
	mail := r.o.EmailSender
	mail.ConsoleURL = cmp.Or(mail.ConsoleURL, r.o.Console.URL(r.http.Addr(), r.files != nil))
	byEmail, err := emailsender.New(mail, emailsender.Deps{Bus: conn, Config: r.watch, Observer: observer,
		Logger: r.telemetry.Logger})
	if err != nil {
		return err
	}
	r.group.Add("http-sender", byHTTP.Run)
	r.group.Add("email-sender", byEmail.Run)
	return nil
}

// serve answers gRPC, on the network and inside this process.
func (r *runtime) serve(settings *config.Service, past *history.Service, intake *ingest.Service) {
	tokens := rpc.Authenticators{r.secrets.tokens, ingest.NewApplianceTokens(r.watch), settings.Tokens()}
	o := rpc.ServerOptions{Authenticator: tokens, Logger: r.telemetry.Logger, Stop: r.stop, HandlerValidates: config.HandlerValidates(),
		Limits: r.o.Limits, TLS: r.tlsConfig(), Audit: audited.New(auditlog.New(r.core), r.telemetry.Logger),
		Errors: rpc.BrokerAway(bus.Unanswered())}
	r.server, r.publish = rpc.NewServer(o), rpc.NewDirect(o)
	settings.Register(r.server)
	outboundv1.RegisterDeliveryServiceServer(r.server, past.Deliveries())
	outboundv1.RegisterStatusServiceServer(r.server, past.Status())
	outboundv1.RegisterEventServiceServer(r.server, events{EventServiceServer: past.Events(), intake: intake})
	outboundv1.RegisterEventServiceServer(r.publish, events{EventServiceServer: past.Events(), intake: intake})
	r.local.Serve(r.server)
	r.group.Add("gRPC", func(ctx context.Context) error {
		context.AfterFunc(ctx, func() { close(r.stop) })
		return rpc.Serve(ctx, r.server, r.grpc)
	})
	// The watch stops before its server; the senders continue with the last configuration.
	r.group.Add("configuration", r.watch.Run)
}

// front answers HTTP: REST through the same in-process server, with the callers' own tokens.
func (r *runtime) front(core *bus.Conn, intake *ingest.Service) error {
	conn, err := r.local.Dial("")
	if err != nil {
		return err
	}
	r.onClose(func() { _ = conn.Close() })
	signed, err := r.local.Dial(r.secrets.tokens.Service)
	if err != nil {
		return err
	}
	r.onClose(func() { _ = signed.Close() })
	ops := process.Ops{Metrics: r.telemetry.MetricsHandler(), Checks: []process.Check{
		{Name: "broker", Ask: func(context.Context) error { return core.Ready() }},
		{Name: "intake", Ask: intake.Ready},
		{Name: "store", Ask: func(context.Context) error { return r.store.Err() }},
	}}
	web, err := console.New(r.o.Console, console.Deps{
		Config: conn, Ingest: conn, History: conn, Publish: r.publish,
		Signed:       console.Neighbours{Config: signed, Ingest: signed, History: signed},
		ServiceToken: r.secrets.tokens.Service,
		Ops:          ops, Listener: r.http, TLS: r.files != nil, Logger: r.telemetry.Logger,
		Version: process.Version(), FirstStart: r.firstStart,
	})
	if err != nil {
		return err
	}
	r.group.Add("HTTP", web.Run)
	r.intake = intake
	return nil
}

// readyPoll is the pause between two looks whether intake is ready.
const readyPoll = 5 * time.Millisecond

// announce writes endpoints.json once events are taken in.
func (s *Service) announce(ctx context.Context, r *runtime) error {
	tick := time.NewTicker(readyPoll)
	defer tick.Stop()
	for r.intake.Ready(ctx) != nil {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
	e, err := r.endpoints()
	if err != nil {
		return err
	}
	for said := false; ; said = true {
		err := writeEndpoints(r.o.Data, e)
		if err == nil {
			break
		}
		if !said { // a disk that is full may get room
			r.telemetry.Logger.WarnContext(ctx, "endpoints not written, retrying", telemetry.KeyError, err.Error())
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
	r.telemetry.Logger.InfoContext(ctx, "ready", logkey.HTTP, e.HTTP, logkey.GRPC, e.GRPC, logkey.NATS, e.NATS, logkey.Data, r.o.Data)
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
