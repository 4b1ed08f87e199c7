package console

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"google.golang.org/grpc"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/outbound-events/outbound/pkg/process"
	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/pkg/rpc/audited"
	"github.com/outbound-events/outbound/pkg/session"
	"github.com/outbound-events/outbound/pkg/throttle"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/console/internal/pages/account"
	"github.com/outbound-events/outbound/services/console/internal/web"
)

// Options are the options of the service.
type Options struct {
	// MaxBody is the size limit of a request body. Events have a separate limit of 256 KiB.
	MaxBody int64 `yaml:"maxBody"`
	// PublicURL is the public URL of the console, e.g. https://outbound.example.com. Default: the listen address.
	PublicURL string `yaml:"publicUrl"`
	// TrustedProxies are the networks (CIDR) of the reverse proxies in front of the console. Only their X-Forwarded-For is used, to limit
	// sign-in attempts per client. Default: none, so that the connected peer is the client.
	TrustedProxies []string `yaml:"trustedProxies"`
	// Session bounds the duration of sessions.
	Session session.Options `yaml:"session"`
	// OIDC enables sign-in with an OpenID provider.
	OIDC account.OIDCOptions `yaml:"oidc"`
}

// DefaultOptions returns the default options. MaxBody is 1 MiB.
func DefaultOptions() Options {
	return Options{MaxBody: 1 << 20, Session: session.DefaultOptions(), OIDC: account.DefaultOIDCOptions()}
}

// The range of MaxBody: a recipient with its certificates must fit, and gRPC accepts 4 MiB.
const (
	leastMaxBody = 256 << 10
	mostMaxBody  = 4 << 20
)

// Validate reports every fault at once.
func (o Options) Validate() error {
	var f process.Faults
	if o.MaxBody < leastMaxBody || o.MaxBody > mostMaxBody {
		f.Add("maxBody", "%d is out of range: use %d to %d", o.MaxBody, leastMaxBody, mostMaxBody)
	}
	if o.PublicURL != "" {
		if u, err := url.Parse(o.PublicURL); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" ||
			strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
			f.Add("publicUrl", "%q is not a URL without a path: use e.g. https://outbound.example.com", o.PublicURL)
		}
	}
	_, untrusted := web.ParseProxies(o.TrustedProxies)
	for i, err := range untrusted {
		if err != nil {
			f.Add(fmt.Sprintf("trustedProxies[%d]", i), "%v", err)
		}
	}
	f.Within("session", o.Session.Validate())
	f.Within("oidc", o.OIDC.Validate())
	if o.OIDC.Issuer != "" && o.PublicURL == "" {
		f.Add("publicUrl", "is missing: the OpenID provider redirects to it after sign-in, e.g. https://outbound.example.com")
	}
	return f.Err()
}

// URL returns the public URL without a trailing slash. listens is the listen address, secure says that it has TLS.
func (o Options) URL(listens net.Addr, secure bool) string {
	if o.PublicURL != "" {
		return strings.TrimSuffix(o.PublicURL, "/")
	}
	host, port, err := net.SplitHostPort(listens.String())
	if ip := net.ParseIP(host); err == nil && ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	if secure {
		return "https://" + net.JoinHostPort(host, port)
	}
	return "http://" + net.JoinHostPort(host, port)
}

// Neighbours are the connections to the other services. They may be the same connection.
type Neighbours struct {
	Config, Ingest, History grpc.ClientConnInterface
}

func (n Neighbours) complete() bool { return n.Config != nil && n.Ingest != nil && n.History != nil }

// Deps are the dependencies of the service. The caller closes them after Run.
type Deps struct {
	// Config, Ingest and History must not send a token: REST requests forward the token of the caller.
	Config, Ingest, History grpc.ClientConnInterface
	// Publish takes the events of POST /v1/events, where ingest is in this process. Nil: Ingest.
	Publish grpc.ClientConnInterface
	// Signed send the services' token: the pages use them to act for the signed-in user. Without them, users sign in with tokens only.
	Signed Neighbours
	// ServiceToken is the services' token, with which the services believe the console where a call came from. Without it they take the
	// console for the client.
	ServiceToken string
	// Listener accepts the requests. Run closes it.
	Listener net.Listener
	// TLS says that Listener speaks it.
	TLS bool
	// Ops serves health, readiness and metrics of the process. New adds a check of each neighbour.
	Ops process.Ops
	// Store keeps the sessions, Limiter bounds sign-in attempts. Default: in memory.
	Store   session.Store
	Limiter throttle.Limiter
	// Logger logs errors that pages do not show. Default: slog.Default.
	Logger *slog.Logger
	// Version is shown in pages.
	Version string
	// FirstStart receives the one-time link to create the first administrator, if there are no users.
	FirstStart func(link string)
}

func (d Deps) bare() Neighbours { return Neighbours{d.Config, d.Ingest, d.History} }

// Service serves the REST API and the console.
type Service struct {
	listener net.Listener
	handler  http.Handler
	first    *account.FirstStart
	oidc     *account.OIDC
	announce func(link string)
	base     string
	stop     chan struct{}
}

// New creates the service; Run starts it.
func New(o Options, deps Deps) (*Service, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("options of the console: %w", err)
	}
	if deps.Config == nil || deps.Ingest == nil || deps.History == nil || deps.Listener == nil {
		return nil, errors.New("the console needs the config, ingest and history services and a listener")
	}
	if deps.Store == nil {
		deps.Store = session.NewMemory()
	}
	if deps.Limiter == nil {
		deps.Limiter = throttle.NewMemory()
	}
	if deps.Logger == nil {
		deps.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Service{listener: deps.Listener, stop: make(chan struct{}), announce: deps.FirstStart, base: o.URL(deps.Listener.Addr(), deps.TLS)}
	if deps.Signed.complete() {
		s.first = account.NewFirstStart(deps.routes(deps.Signed))
	}
	var err error
	if s.oidc, err = account.NewOIDC(o.OIDC, s.base); err != nil {
		return nil, fmt.Errorf("options of the console: %w", err)
	}
	if s.oidc != nil && s.first == nil {
		return nil, errors.New("options of the console: oidc.issuer: requires serviceTokenFile, which the console needs to act for users")
	}
	h, err := newHandler(o, deps, account.SignInMethods{First: s.first, OIDC: s.oidc}, s.stop)
	if err != nil {
		return nil, err
	}
	s.handler = h
	return s, nil
}

// Run serves requests until ctx ends, then finishes running requests within 5 s.
func (s *Service) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	defer s.oidc.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// Streams end first, so that the shutdown does not wait for them.
	context.AfterFunc(ctx, func() { close(s.stop) })
	if s.first != nil && s.announce != nil {
		wg.Go(func() {
			if path := s.first.Await(ctx); path != "" {
				s.announce(s.base + path)
			}
		})
	}
	return process.ServeHTTP(ctx, s.listener, s.handler)
}

// routes maps methods to services, and tells them where a call came from.
func (d Deps) routes(n Neighbours) grpc.ClientConnInterface {
	return audited.Originating(routes(n), d.ServiceToken)
}

// routes maps methods to services. Two services implement EventService.
func routes(d Neighbours) rpc.Routes {
	service := func(desc grpc.ServiceDesc) string { return "/" + desc.ServiceName }
	return rpc.Routes{
		service(outboundv1.RecipientService_ServiceDesc):    d.Config,
		service(outboundv1.SettingsService_ServiceDesc):     d.Config,
		service(outboundv1.AccessService_ServiceDesc):       d.Config,
		service(outboundv1.BackupService_ServiceDesc):       d.Config,
		service(outboundv1.AuditService_ServiceDesc):        d.Config,
		service(outboundv1.KeyService_ServiceDesc):          d.Config,
		service(outboundv1.EventService_ServiceDesc):        d.History,
		outboundv1.EventService_PublishEvent_FullMethodName: d.Ingest,
		service(outboundv1.DeliveryService_ServiceDesc):     d.History,
		service(outboundv1.StatusService_ServiceDesc):       d.History,
	}
}

// neighbours returns a health check for each service.
func neighbours(d Deps) []process.Check {
	ask := func(conn grpc.ClientConnInterface) func(context.Context) error {
		return func(ctx context.Context) error {
			answer, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{})
			if err != nil {
				return fmt.Errorf("check the health: %w", err)
			}
			if answer.GetStatus() != healthpb.HealthCheckResponse_SERVING {
				return fmt.Errorf("reports %s", answer.GetStatus())
			}
			return nil
		}
	}
	return []process.Check{
		{Name: "config", Ask: ask(d.Config)}, {Name: "ingest", Ask: ask(d.Ingest)}, {Name: "history", Ask: ask(d.History)},
	}
}
