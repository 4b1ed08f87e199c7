// Package console is the service that people and programs reach over HTTP: the API as REST, its OpenAPI document, and the
// health of this process. It keeps nothing and decides nothing: the caller's token goes along to the services that answer.
// The browser console is not in this release.
package console

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"

	"google.golang.org/grpc"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/outbound-events/outbound/pkg/process"
	"github.com/outbound-events/outbound/pkg/rpc"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// Options are what the service is started with.
type Options struct {
	// MaxBody is the most bytes a request's body may have. Events have a limit of their own, 256 KiB.
	MaxBody int64 `yaml:"maxBody"`
}

// DefaultOptions take bodies of up to 1 MiB.
func DefaultOptions() Options { return Options{MaxBody: 1 << 20} }

// Bounds of MaxBody: a recipient with its certificates must fit, and gRPC takes no more than 4 MiB.
const (
	leastMaxBody = 256 << 10
	mostMaxBody  = 4 << 20
)

// Validate reports every fault at once.
func (o Options) Validate() error {
	if o.MaxBody < leastMaxBody || o.MaxBody > mostMaxBody {
		return fmt.Errorf("maxBody: %d is out of range: use %d to %d", o.MaxBody, leastMaxBody, mostMaxBody)
	}
	return nil
}

// Deps are the open doors of the service. The connections must not send a token of their own: callers are told apart by
// theirs. They are closed by who opened them, after Run.
type Deps struct {
	// Config, Ingest and History lead to the services of these names. They may be one connection.
	Config, Ingest, History grpc.ClientConnInterface
	// Listener is where requests come in. Run closes it.
	Listener net.Listener
	// Ops answers the questions of those who run this process. A check of each neighbour is added to it.
	Ops process.Ops
}

// Service answers HTTP.
type Service struct {
	listener net.Listener
	handler  http.Handler
}

// New makes the service; Run starts it.
func New(o Options, deps Deps) (*Service, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("options of the console: %w", err)
	}
	if deps.Config == nil || deps.Ingest == nil || deps.History == nil || deps.Listener == nil {
		return nil, errors.New("the console needs the config, ingest and history services and a listener")
	}
	h, err := newHandler(o, deps)
	if err != nil {
		return nil, err
	}
	return &Service{listener: deps.Listener, handler: h}, nil
}

// Run answers requests until ctx ends, then finishes what is under way, at most 5 s.
func (s *Service) Run(ctx context.Context) error {
	return process.ServeHTTP(ctx, s.listener, s.handler)
}

// routes says which service answers which method. EventService is answered by two.
func routes(d Deps) rpc.Routes {
	service := func(desc grpc.ServiceDesc) string { return "/" + desc.ServiceName }
	return rpc.Routes{
		service(outboundv1.RecipientService_ServiceDesc):    d.Config,
		service(outboundv1.SettingsService_ServiceDesc):     d.Config,
		service(outboundv1.AccessService_ServiceDesc):       d.Config,
		service(outboundv1.EventService_ServiceDesc):        d.History,
		outboundv1.EventService_PublishEvent_FullMethodName: d.Ingest,
		service(outboundv1.DeliveryService_ServiceDesc):     d.History,
		service(outboundv1.StatusService_ServiceDesc):       d.History,
	}
}

// neighbours asks the services behind whether they serve.
func neighbours(d Deps) []process.Check {
	ask := func(conn grpc.ClientConnInterface) func(context.Context) error {
		return func(ctx context.Context) error {
			answer, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{})
			if err != nil {
				return fmt.Errorf("ask whether it serves: %w", err)
			}
			if answer.GetStatus() != healthpb.HealthCheckResponse_SERVING {
				return fmt.Errorf("says that it is %s", answer.GetStatus())
			}
			return nil
		}
	}
	return []process.Check{
		{Name: "config", Ask: ask(d.Config)}, {Name: "ingest", Ask: ask(d.Ingest)}, {Name: "history", Ask: ask(d.History)},
	}
}
