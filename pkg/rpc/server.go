// Package rpc is the adapter of gRPC: servers with authentication, validation and errors that are the same everywhere, clients,
// and the gateway that gives the same API as REST.
package rpc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel/metric/noop"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	"github.com/outbound-events/outbound/pkg/rpc/audited"
	"github.com/outbound-events/outbound/pkg/rpc/quota"
)

// ServerOptions say how a server behaves.
type ServerOptions struct {
	// Authenticator identifies the holder of a token. Nil: only methods without authentication can be called.
	Authenticator Authenticator
	// Logger takes panics and errors that no table knows. Nil: the process's default.
	Logger *slog.Logger
	// Errors are the statuses of the service's own errors.
	Errors []Row
	// HandlerValidates names full methods whose handlers hold requests against the rules themselves, with a Validator, so that
	// they can add what only they know and answer all faults at once.
	HandlerValidates []string
	// Stop ends every stream when it is closed, so that a graceful stop need not wait for watchers. Nil: streams end with
	// their callers.
	Stop <-chan struct{}
	// Health answers the health questions. Nil: always serving.
	Health *health.Server
	// TLS is spoken with callers from the network, not with those in this process. A caller with a verified certificate of a service is that
	// service. Nil: plain text.
	TLS *tls.Config
	// Audit writes calls to the audit log. Nil: none is written.
	Audit *audited.Writer
	// MaxMessage is the most bytes a request may have. 0: 4 MiB.
	MaxMessage int
	// Limits are how much callers may use. Zero: the defaults.
	Limits quota.Options
}

// Bounds of a server.
const (
	// defaultDeadline is for unary calls that came without one.
	defaultDeadline   = 30 * time.Second
	defaultMaxMessage = 4 << 20
	// pingAfter is when a quiet connection is asked whether it lives; pingOften is the least time between a client's pings.
	pingAfter = 30 * time.Second
	pingOften = 10 * time.Second
	// handshakeTimeout is how long a connection may take to begin, TLS and the HTTP/2 preface included.
	handshakeTimeout = 10 * time.Second
	maxHeaders       = 64 << 10
)

// NewServer makes a server with health and reflection. Each call meets, in this order: panic to INTERNAL, trace, deadline,
// authentication and authorisation (see Rules), validation, the error table.
func NewServer(o ServerOptions) *grpc.Server {
	if o.MaxMessage == 0 {
		o.MaxMessage = defaultMaxMessage
	}
	if o.Health == nil {
		o.Health = health.NewServer()
	}
	if o.Limits == (quota.Options{}) {
		o.Limits = quota.DefaultOptions()
	}
	g := newInterceptors(o)
	s := grpc.NewServer(
		grpc.Creds(serverCredentials(o.TLS)),
		// Beside the number of calls this bounds how many of them run that were reset at once (CVE-2023-44487).
		grpc.MaxConcurrentStreams(uint32(o.Limits.StreamsPerConnection)),
		grpc.ConnectionTimeout(handshakeTimeout),
		grpc.MaxHeaderListSize(maxHeaders),
		grpc.InTapHandle(bounded(o.Limits.RequestTimeout)),
		grpc.StatsHandler(otelgrpc.NewServerHandler(otelgrpc.WithMeterProvider(noop.NewMeterProvider()))),
		grpc.ChainUnaryInterceptor(g.unary),
		grpc.ChainStreamInterceptor(g.stream),
		grpc.MaxRecvMsgSize(o.MaxMessage),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: pingAfter, Timeout: pingOften}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: pingOften, PermitWithoutStream: true}),
	)
	healthpb.RegisterHealthServer(s, o.Health)
	reflection.Register(s)
	return s
}

// stopTimeout bounds a graceful stop. A call may wait for a broker that is away, which is given up after 5 s of silence.
const stopTimeout = 7 * time.Second

// Serve answers calls on l until ctx ends, then finishes what is under way, at most 7 s, and closes l.
func Serve(ctx context.Context, s *grpc.Server, l net.Listener) error {
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		gracefully(s)
	})
	err := s.Serve(l)
	if stop() {
		return fmt.Errorf("serve gRPC on %s: %w", l.Addr(), err)
	}
	<-stopped
	if err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		return fmt.Errorf("serve gRPC on %s: %w", l.Addr(), err)
	}
	return nil
}

// gracefully lets calls finish, then cuts what is left.
func gracefully(s *grpc.Server) {
	timer := time.AfterFunc(stopTimeout, s.Stop)
	defer timer.Stop()
	s.GracefulStop()
}
