package setup

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"google.golang.org/grpc"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/auditlog"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bus/storecheck"
	"github.com/outbound-events/outbound/pkg/configclient"
	"github.com/outbound-events/outbound/pkg/logkey"
	"github.com/outbound-events/outbound/pkg/notice"
	"github.com/outbound-events/outbound/pkg/pki"
	"github.com/outbound-events/outbound/pkg/process"
	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/pkg/rpc/audited"
	"github.com/outbound-events/outbound/pkg/secret"
	"github.com/outbound-events/outbound/pkg/telemetry"
)

// Process is one service's process with its doors open. Tasks added later stop earlier. Close it after Run.
type Process struct {
	Name      string
	Telemetry *telemetry.Telemetry
	Bus       *bus.Conn
	// Notices are what this process has to say to those who run it.
	Notices *notice.Board

	// limits bound the connections of each listener.
	limits process.ConnectionLimits
	// files are the certificate of this process; nil without one.
	files *pki.Files
	tls   pki.Options

	// broker is how the broker is reached.
	broker    bus.Options
	http      string
	ops       net.Listener
	tokenFile string
	// keyOption is the option that names the sealing key.
	keyOption string
	token     string
	// presence is what pings are answered with.
	presence control.Presence
	// starting answers health questions until Run or TakeHTTP.
	starting *process.Starting
	group    process.Group
	checks   []process.Check
	close    []func()
}

// OpenFront opens what every process has: telemetry and the listener for health questions.
func OpenFront(ctx context.Context, name string, o Front) (p *Process, err error) {
	p = &Process{Name: name, http: o.HTTP, limits: o.Connections}
	o.Telemetry.Service, o.Telemetry.Version = name, process.Version()
	if p.Telemetry, err = telemetry.Setup(ctx, o.Telemetry); err != nil {
		return nil, err
	}
	p.Notices = notice.NewBoard(p.Telemetry.Logger)
	p.Defer(func() { _ = p.Telemetry.Shutdown(context.WithoutCancel(ctx)) })
	if err = p.openTLS(ctx, o.TLS); err != nil {
		p.Close()
		return nil, err
	}
	if p.ops, err = process.Listen("http", o.HTTP); err != nil {
		p.Close()
		return nil, err
	}
	p.ops = LimitConnections(p.ops, o.Connections, Refusal(p.frontTLS()), p.Telemetry.Logger)
	p.ops = pki.Listener(p.ops, p.frontTLS())
	listener := p.ops
	p.Defer(func() { _ = listener.Close() })
	p.starting = process.ServeStarting(listener, p.Telemetry.MetricsHandler())
	p.Defer(p.starting.Stop)
	return p, nil
}

// Open opens a front, the token of services, and the broker, which is waited for until ctx ends. /readyz says what it waits for.
func Open(ctx context.Context, name string, o Common) (p *Process, err error) {
	if p, err = OpenFront(ctx, name, o.Front); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			p.Close()
		}
	}()
	if p.tokenFile = o.ServiceTokenFile; p.tokenFile != "" {
		if p.token, err = secret.LoadToken(o.ServiceTokenFile); err != nil {
			return nil, fmt.Errorf("serviceTokenFile: %w", err)
		}
	}
	o.NATS.Name, o.NATS.Clock = "outbound "+name, process.Clock()
	o.NATS.Waiting, o.NATS.Logger = p.starting.Wait, p.Telemetry.Logger
	o.NATS.Notice = func(text string) { p.Notices.Set("broker", text) }
	p.broker = o.NATS
	if p.Bus, err = bus.Connect(ctx, o.NATS); err != nil {
		return nil, err
	}
	p.Defer(p.Bus.Close)
	asked := context.AfterFunc(ctx, p.Bus.Ending)
	p.Defer(func() { asked() })
	p.group.Hopeless = p.Bus.Silent()
	p.presence = control.NewPresence(name, process.Version())
	p.presence.Start = p.Bus.Now().UTC()
	p.watchStore()
	p.Check("broker", func(context.Context) error { return p.Bus.Ready() })
	return p, nil
}

// Close closes the doors in reverse order.
func (p *Process) Close() {
	for i := len(p.close) - 1; i >= 0; i-- {
		p.close[i]()
	}
	p.close = nil
}

// Defer has f called by Close, before what was opened earlier is closed.
func (p *Process) Defer(f func()) { p.close = append(p.close, f) }

// Check adds a question to /readyz.
func (p *Process) Check(name string, ask func(context.Context) error) {
	p.checks = append(p.checks, process.Check{Name: name, Ask: ask})
}

// Add adds a task. Those added later stop earlier.
func (p *Process) Add(name string, run func(context.Context) error) { p.group.Add(name, run) }

// Run runs the tasks until ctx ends or one fails. /healthz, /readyz and /metrics are answered meanwhile, unless the service
// answers them itself on the listener that TakeHTTP gave it.
func (p *Process) Run(ctx context.Context) error {
	p.starting.Stop()
	if p.ops != nil {
		p.group.Add("ops", func(ctx context.Context) error { return p.Ops().Serve(ctx, p.ops) })
	}
	if p.Bus != nil {
		p.group.Add("presence", p.announce)
		p.group.Add("clock", func(ctx context.Context) error {
			WatchClock(ctx, p.Bus, ClockReport{Name: p.Name, Notices: p.Notices, Telemetry: p.Telemetry})
			return nil
		})
	}
	p.Telemetry.Logger.InfoContext(ctx, "started", telemetry.KeyVersion, process.Version(), logkey.HTTP, p.http)
	defer p.Telemetry.Logger.Info("stopped")
	return p.group.Run(ctx)
}

// Ops answers the questions of those who run the process.
func (p *Process) Ops() process.Ops {
	return process.Ops{Checks: p.checks, Metrics: p.Telemetry.MetricsHandler()}
}

// TakeHTTP gives the HTTP listener to a service that answers more than health questions on it.
func (p *Process) TakeHTTP() net.Listener {
	p.starting.Stop()
	l := p.ops
	p.ops = nil
	return l
}

// Config watches the configuration as a task of this process, and makes readiness wait for it.
func (p *Process) Config(c Client, o configclient.Options) (*configclient.Client, error) {
	conn, err := p.dialConfig(c.Config)
	if err != nil {
		return nil, err
	}
	o.Logger = p.Telemetry.Logger
	o.Name = fmt.Sprintf("%s on %s (process %d)", p.Name, p.presence.Host, p.presence.PID)
	client := configclient.New(conn, o)
	p.Check("configuration", func(context.Context) error {
		select {
		case <-client.Ready():
			return nil
		default:
			return errors.New("the configuration has not been received from the config service yet")
		}
	})
	p.Add("configuration", func(ctx context.Context) error { return runConfig(ctx, client, p.keyOption) })
	return client, nil
}

// keyEvery is the pause between two looks whether the sealing key opens anything, until the first snapshot is there.
const keyEvery = 100 * time.Millisecond

// runConfig is client.Run. It ends with an error if the sealing key turns out to be another one at the first snapshot.
func runConfig(ctx context.Context, client *configclient.Client, option string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	checked := make(chan struct{})
	go func() {
		defer close(checked)
		tick := time.NewTicker(keyEvery)
		defer tick.Stop()
		for told := false; !told; {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			told = client.Told() == nil // before the error is asked for
			if err := client.KeyErr(); err != nil {
				cancel(fmt.Errorf("%s: %w: give the key that the config service has", option, err))
				return
			}
		}
	}()
	err := client.Run(ctx)
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		err = cause
	}
	cancel(nil)
	<-checked
	return err
}

// Sealer opens the key that secrets are sealed with.
func (p *Process) Sealer(s Sealed) (*secret.Sealer, error) {
	place, option := s.place()
	p.keyOption = option
	k, err := place.Load()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", option, err)
	}
	return k, nil
}

// storeEvery is how often the broker's store is looked at.
const storeEvery = 2 * time.Second

// Store watches over what the broker keeps, as a task and a question of this process. k keeps the inventory; nil: only what this process
// has seen is compared.
func (p *Process) Store(k storecheck.Keeper) *storecheck.Watcher {
	w := storecheck.NewWatcher(storecheck.Options{Conn: p.Bus, Keeper: k, Every: storeEvery, Notices: p.Notices, Logger: p.Telemetry.Logger})
	p.Check("store", func(context.Context) error { return w.Err() })
	p.Add("store", w.Run)
	return w
}

// Serve answers gRPC as a task on the network, and inside this process by the client it returns, which sends no token of its own, has no
// connection whose calls wait for each other, and has no streams. more are asked for tokens that are neither the admin's nor the services'.
func (p *Process) Serve(s Server, o rpc.ServerOptions, register func(grpc.ServiceRegistrar),
	more ...rpc.Authenticator) (*rpc.Direct, error) {
	tokens := rpc.FileTokens(s.AdminTokenFile, p.tokenFile).WithConsole(s.ConsoleTokenFile, p.tls.CAFile != "")
	if err := tokens.Check(); err != nil {
		return nil, err
	}
	l, err := process.Listen("grpc", s.GRPC)
	if err != nil {
		return nil, err
	}
	l = LimitConnections(l, p.limits, "", p.Telemetry.Logger)
	stop := make(chan struct{})
	o.Authenticator = append(rpc.Authenticators{tokens}, more...)
	o.Logger, o.Stop, o.Limits = p.Telemetry.Logger, stop, s.Limits
	o.Errors = append(o.Errors, rpc.BrokerAway(bus.Unanswered())...)
	o.Audit = audited.New(auditlog.New(p.Bus), p.Telemetry.Logger)
	if p.tls.Serves() {
		o.TLS = p.files.Server()
	}
	srv, direct := rpc.NewServer(o), rpc.NewDirect(o)
	register(srv)
	register(direct)
	p.Add("gRPC", func(ctx context.Context) error {
		context.AfterFunc(ctx, func() { close(stop) })
		return rpc.Serve(ctx, srv, l)
	})
	return direct, nil
}
