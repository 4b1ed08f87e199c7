package emailsender

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/bus/eventnumbers"
	"github.com/outbound-events/outbound/pkg/bus/queue"
	"github.com/outbound-events/outbound/pkg/configclient"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/filter"
	"github.com/outbound-events/outbound/pkg/health"
	"github.com/outbound-events/outbound/pkg/mime"
	"github.com/outbound-events/outbound/pkg/process"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/settings"
	"github.com/outbound-events/outbound/pkg/throttle"
	"github.com/outbound-events/outbound/services/emailsender/internal/relay"
)

// Options are what the service is started with.
type Options struct {
	// Connections is how many connections to the relay there are at most, and so how many mails are under way at once, whatever
	// maxConnections of the settings says. No recipient uses more than a quarter of them, but always one.
	Connections int `yaml:"connections"`
	// Timeout is how long one attempt may take: connecting, signing in, and a mail to each address that is left. 0: as long as the steps
	// may take, each by itself (RFC 5321 4.5.3.2). A shorter one can have a mail sent again that a slow relay has taken.
	Timeout time.Duration `yaml:"timeout"`
	// IdleTimeout is how long a connection is kept for the next mail.
	IdleTimeout time.Duration `yaml:"idleTimeout"`
	// HelloName is the name given to the relay in EHLO where helloName of the settings is empty. Default: the host's name, or its
	// address if that has no dot.
	HelloName string `yaml:"helloName"`
	// Window is how many answers may wait for their record at once. With connections it bounds what a killed sender sends
	// again.
	Window int `yaml:"window"`
	// Grace is how long attempts under way may go on at shutdown.
	Grace time.Duration `yaml:"grace"`
	// StatusTick is the interval at which changes in the status of recipients and the relay are checked.
	StatusTick time.Duration `yaml:"statusTick"`
	// ProbeEvery is how long the relay may go without a mail before it is probed: connected to, signed in, and left.
	ProbeEvery time.Duration `yaml:"probeEvery"`
	// ConsoleURL is the public URL of the console, for links in alerts, e.g. https://outbound.example.com. Empty: alerts have no link. The
	// all-in-one knows its own.
	ConsoleURL string `yaml:"consoleUrl"`
}

// DefaultOptions use as many connections as the settings may ask for, each kept for half a minute, wait for a relay as RFC 5321 says, and
// probe every minute.
func DefaultOptions() Options {
	return Options{
		Connections: 20, IdleTimeout: 30 * time.Second, Window: delivery.DefaultWindow, Grace: delivery.DefaultGrace,
		StatusTick: time.Second, ProbeEvery: time.Minute,
	}
}

const (
	// maxTimeout bounds Timeout.
	maxTimeout = 30 * time.Minute
	// touchEvery is how often the broker is told that an attempt is under way, a third of its ack wait, so that two may be lost.
	touchEvery = bus.AckWait / 3
	// probeTimeout bounds a probe where Timeout is longer. It holds a place that mails may need.
	probeTimeout = 30 * time.Second
)

// Validate reports every fault at once.
func (o Options) Validate() error {
	var f process.Faults
	if o.Connections < 1 || o.Connections > 1000 {
		f.Add("connections", "%d is out of range: use 1 to 1000", o.Connections)
	}
	if o.Timeout < 0 || o.Timeout > maxTimeout {
		f.Add("timeout", "%s is out of range: use at most %s, or 0 to wait for each step as RFC 5321 says", o.Timeout, maxTimeout)
	}
	if o.IdleTimeout <= 0 {
		f.Add("idleTimeout", "%s must be more than 0", o.IdleTimeout)
	}
	if o.HelloName != "" {
		if _, err := mime.Mailbox("postmaster@" + o.HelloName); err != nil {
			f.Add("helloName", "%q is not a host name", o.HelloName)
		}
	}
	if o.Window < 1 || o.Window > 100_000 {
		f.Add("window", "%d is out of range: use 1 to 100000", o.Window)
	}
	if o.Grace < 0 {
		f.Add("grace", "%s is negative", o.Grace)
	}
	if o.StatusTick < time.Millisecond || o.StatusTick > time.Minute {
		f.Add("statusTick", "%s is out of range: use 1ms to 1m", o.StatusTick)
	}
	if u, err := url.Parse(o.ConsoleURL); o.ConsoleURL != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" ||
		strings.Trim(u.Path, "/") != "" || u.RawQuery != "") {
		f.Add("consoleUrl", "%q is not a URL without a path: use e.g. https://outbound.example.com", o.ConsoleURL)
	}
	if o.ProbeEvery < time.Millisecond || o.ProbeEvery > time.Hour {
		f.Add("probeEvery", "%s is out of range: use 1ms to 1h", o.ProbeEvery)
	}
	return f.Err()
}

// Deps are the open doors of the service, all required but Limiter. They are closed by who opened them, after Run.
type Deps struct {
	Bus *bus.Conn
	// Config has the recipients and settings; the caller runs it.
	Config *configclient.Client
	// Observer sees each attempt.
	Observer delivery.Observer
	// Limiter keeps the relay's rate limit. Nil: this process keeps it alone.
	Limiter throttle.Limiter
	// Logger takes what is to be said besides the attempts. Nil: nothing is logged.
	Logger *slog.Logger
}

// Service sends events to email recipients.
type Service struct {
	o    Options
	deps Deps
	send *sender
	// filters are the recipients' filters, compiled.
	filters *filter.Cache
	// relayHealth is how the relay did last.
	relayHealth *relayHealth
	// touchEvery is how often the broker is told of what is under way.
	touchEvery time.Duration
}

// New makes the service; Run starts it.
func New(o Options, deps Deps) (*Service, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("options of the email sender: %w", err)
	}
	if deps.Bus == nil || deps.Config == nil || deps.Observer == nil {
		return nil, errors.New("the email sender needs a broker, the configuration and an observer")
	}
	deps.Logger = cmp.Or(deps.Logger, slog.New(slog.DiscardHandler))
	filters, err := filter.NewCache()
	if err != nil {
		return nil, fmt.Errorf("create the email sender: %w", err)
	}
	seen := newRelayHealth(deps.Bus.Now)
	send := newSender(o, deps.Config, relay.PoolOptions{Limiter: deps.Limiter, Seen: seen.saw, Presented: seen.presented,
		Rotated: monitor(deps.Config), Logger: deps.Logger})
	send.now = deps.Bus.Now
	return &Service{o: o, deps: deps, send: send, filters: filters, relayHealth: seen, touchEvery: touchEvery}, nil
}

// monitor has the config service keep refresh tokens that were rotated.
func monitor(c *configclient.Client) func(context.Context, relay.OAuth2, string) error {
	return func(ctx context.Context, o relay.OAuth2, rotated string) error {
		return c.KeepRelayToken(ctx, settings.RelayOAuth2{TokenURL: o.TokenURL, ClientID: o.ClientID, RefreshToken: o.RefreshToken}, rotated)
	}
}

func newSender(o Options, settings settingsSource, p relay.PoolOptions) *sender {
	hello := o.HelloName
	if hello == "" {
		// Without a host name, EHLO has the address of the host.
		hello, _ = os.Hostname()
	}
	p.Most, p.Idle = o.Connections, o.IdleTimeout
	return &sender{settings: settings, pool: relay.NewPool(p), timeout: o.Timeout, hello: hello, now: time.Now,
		console: strings.TrimSuffix(o.ConsoleURL, "/")}
}

// Run waits for the configuration and then sends until ctx ends. It takes nothing more then, lets attempts under way finish
// within Grace, and returns once they are recorded and the connections to the relay closed.
func (s *Service) Run(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-s.deps.Config.Ready():
	}
	if s.deps.Bus.AwaitClock(ctx) != nil {
		return nil
	}
	defer s.keepPool(ctx)()
	history := deliverylog.New(s.deps.Bus)
	defer history.Close()
	s.deps.Config.OnChange(s.send.settingsChanged)
	s.deps.Config.OnChange(s.forget)
	observer, stop, err := health.Start(ctx, health.Options{
		Channel: recipient.Email, Recipients: s.deps.Config, Store: control.NewHealthStore(s.deps.Bus), Observer: s.deps.Observer,
		Holder: ulid.Make().String(), Tick: s.o.StatusTick, Silent: s.deps.Bus.Silent(), Now: s.deps.Bus.Now,
		Logger:   s.deps.Logger,
		Fallback: func() recipient.Contact { return s.deps.Config.Settings().SMTP.AdminContact() },
	})
	if err != nil {
		return fmt.Errorf("monitor email recipients: %w", err)
	}
	defer stop()
	defer newNotifier(s).start(ctx)()
	defer s.watchRelay(ctx)()
	defer s.answerTests(ctx)()
	numbers, counted := eventnumbers.Start(ctx, s.deps.Bus, recipient.Email, s.deps.Config)
	defer counted()
	// A connection serves one attempt, so there are as many slots as there may be connections. Where the settings allow fewer, an
	// attempt waits for one before it begins.
	engine, err := delivery.NewEngine(delivery.EngineOptions{
		Channel: recipient.Email, Sender: s.send, Recipients: s.deps.Config, Queue: queue.New(s.deps.Bus), Log: history,
		Observer: observer, Since: s.deps.Bus.Since, Now: s.deps.Bus.Now, Slots: s.o.Connections, Window: s.o.Window,
		Grace: s.o.Grace, Silent: s.deps.Bus.Silent(), Drain: s.drain, Matches: s.filters.Matches, Freshness: s.deps.Config, Numbers: numbers,
		Storable: s.deps.Bus.Storable, TouchEvery: s.touchEvery, Logger: s.deps.Logger,
	})
	if err != nil {
		return fmt.Errorf("create the email sender's engine: %w", err)
	}
	if err := engine.Run(ctx); err != nil {
		return fmt.Errorf("run the email sender's engine: %w", err)
	}
	return nil
}

// drain takes a turn of the rate at which what a maintenance window held is sent, or says how long to wait.
func (s *Service) drain(ctx context.Context, r *recipient.Recipient, rate int) time.Duration {
	return s.deps.Limiter.Take(ctx, "drain/email/"+r.ID, throttle.Limit{Turns: rate, Period: time.Second})
}

// forget drops the filters of recipients that are gone.
func (s *Service) forget() {
	s.filters.Keep(func(id string) bool {
		_, ok := s.deps.Config.Recipient(id)
		return ok
	})
}

// keepPool closes idle connections until stop is called, which closes the rest.
func (s *Service) keepPool(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	wg.Go(func() { s.send.pool.Run(ctx) })
	return func() {
		cancel()
		wg.Wait()
	}
}
