package httpsender

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/bus/eventnumbers"
	"github.com/outbound-events/outbound/pkg/bus/queue"
	"github.com/outbound-events/outbound/pkg/configclient"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/egress"
	"github.com/outbound-events/outbound/pkg/filter"
	"github.com/outbound-events/outbound/pkg/health"
	"github.com/outbound-events/outbound/pkg/process"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/throttle"
)

// Options are what the service is started with.
type Options struct {
	// URLPolicy says which URLs are posted to: https, https-443 (port 443 alone) or any (http as well). The config service has the
	// same option for what may be saved.
	URLPolicy recipient.URLPolicy `yaml:"urlPolicy"`
	// AllowEgress opens address prefixes (CIDR) beside public addresses, e.g. 10.1.0.0/16 for receivers in your own network.
	AllowEgress []string `yaml:"allowEgress"`
	// OwnServices are addresses (host:port) of Outbound's own services and its broker. They are never posted to, whatever
	// allowEgress says.
	OwnServices []string `yaml:"ownServices"`
	// Proxy is what receivers are reached through. Without a URL they are dialled.
	Proxy egress.ProxyOptions `yaml:"proxy"`
	// Slots is how many requests run at once in this process. No recipient holds more than a quarter of them.
	Slots int `yaml:"slots"`
	// Window is how many answers may wait for their record at once. With slots it bounds what a killed sender sends again.
	Window int `yaml:"window"`
	// Grace is how long requests under way may go on at shutdown.
	Grace time.Duration `yaml:"grace"`
	// MaxTimeout is the longest that one request may take, whatever its recipient says.
	MaxTimeout time.Duration `yaml:"maxTimeout"`
	// StatusTick is the interval at which due alerts are checked.
	StatusTick time.Duration `yaml:"statusTick"`
}

// DefaultOptions send to public https addresses, 256 requests at once.
func DefaultOptions() Options {
	return Options{
		URLPolicy: recipient.HTTPSOnly, Slots: delivery.DefaultSlots, Window: delivery.DefaultWindow, Grace: delivery.DefaultGrace,
		MaxTimeout: recipient.MaxTimeout, StatusTick: time.Second,
	}
}

// settleReserve is what a delivery needs beside its request, at most: 5 s for a slot, and as long for its record.
const settleReserve = 10 * time.Second

// Validate reports every fault at once.
func (o Options) Validate() error {
	var f process.Faults
	_, err := recipient.ParseURLPolicy(string(o.URLPolicy))
	f.Within("urlPolicy", err)
	f.Within("", egress.ValidateRules(o.AllowEgress, o.OwnServices))
	f.Within("proxy", o.Proxy.Validate())
	if o.Slots < 1 || o.Slots > 10_000 {
		f.Add("slots", "%d is out of range: use 1 to 10000", o.Slots)
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
	if longest := bus.AckWait - settleReserve; o.MaxTimeout <= 0 || o.MaxTimeout > longest {
		f.Add("maxTimeout", "%s is out of range: use more than 0 and at most %s, so that the broker (ack wait %s) does not redeliver during "+
			"a request", o.MaxTimeout, longest, bus.AckWait)
	}
	return f.Err()
}

// Deps are the open doors of the service. All but Limiter, Version and Resolver are required. They are closed by who opened them,
// after Run.
type Deps struct {
	Bus *bus.Conn
	// Config has the recipients; the caller runs it. It must watch settings too.
	Config *configclient.Client
	// Observer sees each attempt.
	Observer delivery.Observer
	// Limiter keeps the recipients' rate limits. Nil: this process keeps them alone.
	Limiter throttle.Limiter
	// Version is part of User-Agent.
	Version string
	// Logger takes what is to be said besides the attempts. Nil: nothing is logged.
	Logger *slog.Logger
	// Resolver looks names of receivers up. Nil: the system's.
	Resolver *net.Resolver
}

// Service sends events to HTTP recipients.
type Service struct {
	o    Options
	deps Deps
	send *sender
	// filters are the recipients' filters, compiled.
	filters *filter.Cache
}

// New makes the service; Run starts it.
func New(o Options, deps Deps) (*Service, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("options of the HTTP sender: %w", err)
	}
	if deps.Bus == nil || deps.Config == nil || deps.Observer == nil {
		return nil, errors.New("the HTTP sender needs a broker, the configuration and an observer")
	}
	deps.Logger = cmp.Or(deps.Logger, slog.New(slog.DiscardHandler))
	if deps.Limiter == nil {
		deps.Limiter = throttle.NewMemory()
	}
	if deps.Version == "" {
		deps.Version = "dev"
	}
	guard, err := egress.NewGuard(o.AllowEgress, o.OwnServices)
	if err != nil {
		return nil, fmt.Errorf("options of the HTTP sender: %w", err)
	}
	custom := func() []string { return deps.Config.Settings().CustomFields }
	filters, err := filter.NewCache()
	if err != nil {
		return nil, fmt.Errorf("create the HTTP sender: %w", err)
	}
	send := newSender(o, guard, deps.Version, custom)
	send.resolver, send.now = deps.Resolver, deps.Bus.Now
	if send.proxy, err = egress.OpenProxy(o.Proxy); err != nil {
		return nil, fmt.Errorf("options of the HTTP sender: proxy: %w", err)
	}
	return &Service{o: o, deps: deps, send: send, filters: filters}, nil
}

// Run waits for the configuration and then sends until ctx ends. It takes nothing more then, lets requests under way finish
// within Grace, and returns once they are recorded.
func (s *Service) Run(ctx context.Context) error {
	defer s.send.close()
	select {
	case <-ctx.Done():
		return nil
	case <-s.deps.Config.Ready():
	}
	if s.deps.Bus.AwaitClock(ctx) != nil {
		return nil
	}
	defer s.answerDoctor(ctx)()
	history := deliverylog.New(s.deps.Bus)
	defer history.Close()
	s.deps.Config.OnChange(s.forget)
	numbers, counted := eventnumbers.Start(ctx, s.deps.Bus, recipient.HTTP, s.deps.Config)
	defer counted()
	marks, answered := s.answerPulls(ctx, history, numbers)
	defer answered()
	observer, stop, err := health.Start(ctx, health.Options{
		Channel: recipient.HTTP, Recipients: s.deps.Config, Store: control.NewHealthStore(s.deps.Bus), Observer: s.deps.Observer,
		Holder: ulid.Make().String(), Tick: s.o.StatusTick, Silent: s.deps.Bus.Silent(), Now: s.deps.Bus.Now,
		Logger:   s.deps.Logger,
		Fallback: func() recipient.Contact { return s.deps.Config.Settings().SMTP.AdminContact() },
	})
	if err != nil {
		return fmt.Errorf("monitor HTTP recipients: %w", err)
	}
	defer stop()
	engine, err := delivery.NewEngine(delivery.EngineOptions{
		Channel: recipient.HTTP, Sender: s.send, Recipients: s.deps.Config, Queue: queue.New(s.deps.Bus), Log: history,
		Observer: observer, Since: s.deps.Bus.Since, Now: s.deps.Bus.Now, Slots: s.o.Slots, Window: s.o.Window,
		Grace: s.o.Grace, Silent: s.deps.Bus.Silent(), Drain: s.drain, Turn: s.turn, Matches: s.filters.Matches, Freshness: s.deps.Config,
		Numbers: numbers, Pulled: marks.Through, Storable: s.deps.Bus.Storable, Pauses: control.NewPauses(s.deps.Bus), Logger: s.deps.Logger,
	})
	if err != nil {
		return fmt.Errorf("create the HTTP sender's engine: %w", err)
	}
	if err := engine.Run(ctx); err != nil {
		return fmt.Errorf("run the HTTP sender's engine: %w", err)
	}
	return nil
}

// turn takes a turn of a recipient's rate limit, or says how long to wait.
func (s *Service) turn(ctx context.Context, r *recipient.Recipient) time.Duration {
	return s.deps.Limiter.Take(ctx, "http/"+r.ID, throttle.Limit{Turns: r.RateLimit.Limit, Period: r.RateLimit.Period})
}

// drain takes a turn of the rate at which what a maintenance window held is sent, or says how long to wait.
func (s *Service) drain(ctx context.Context, r *recipient.Recipient, rate int) time.Duration {
	return s.deps.Limiter.Take(ctx, "drain/http/"+r.ID, throttle.Limit{Turns: rate, Period: time.Second})
}

// forget closes the connections of recipients that are gone, and forgets their filters.
func (s *Service) forget() {
	known := func(id string) bool {
		_, ok := s.deps.Config.Recipient(id)
		return ok
	}
	s.send.keep(known)
	s.filters.Keep(known)
}
