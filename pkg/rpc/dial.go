package rpc

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"sync"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel/metric/noop"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/test/bufconn"

	"github.com/outbound-events/outbound/pkg/pki"
)

// Dial makes a client of the server at target, e.g. 127.0.0.1:7070 or dns:///config:7070. It does not connect yet, and calls
// wait for a server that is away until their deadline. token goes with every call; empty: none, for clients that forward
// their own callers' tokens. Without other transport credentials in opts the connection is in the clear.
func Dial(target, token string, opts ...grpc.DialOption) (*grpc.ClientConn, error) {
	all := []grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithStatsHandler(otelgrpc.NewClientHandler(otelgrpc.WithMeterProvider(noop.NewMeterProvider()))),
		grpc.WithDefaultCallOptions(grpc.WaitForReady(true), grpc.MaxCallRecvMsgSize(maxAnswer)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 2 * pingOften, Timeout: pingOften, PermitWithoutStream: true}),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 2 * time.Second},
			MinConnectTimeout: 5 * time.Second,
		}),
	}
	if token != "" {
		all = append(all, grpc.WithPerRPCCredentials(tokenCredentials(token)))
	}
	conn, err := grpc.NewClient(target, append(all, opts...)...)
	if err != nil {
		return nil, fmt.Errorf("create a client for %s: %w", target, err)
	}
	return conn, nil
}

// maxAnswer is the most bytes an answer may have: a page of 1,000 with its excerpts.
const maxAnswer = 64 << 20

// tokenCredentials sends a token with every call, also without TLS: inside one host, or a network of containers.
type tokenCredentials string

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (t tokenCredentials) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(t)}, nil
}

// RequireTransportSecurity implements credentials.PerRPCCredentials.
func (tokenCredentials) RequireTransportSecurity() bool { return false }

// Local is a server reached inside this process, without the network.
type Local struct {
	listener *bufconn.Listener
	serving  sync.WaitGroup
}

// localBuffer is the size of a local connection's buffer, in bytes.
const localBuffer = 256 << 10

// InProcess serves s inside this process until Close, or until s is stopped.
func InProcess(s *grpc.Server) *Local {
	l := NewLocal()
	l.Serve(s)
	return l
}

// NewLocal makes the place where a server will be reached. Clients may be made before Serve is called, for services of that
// server that are clients of it too; their calls wait.
func NewLocal() *Local {
	return &Local{listener: bufconn.Listen(localBuffer)}
}

// Serve serves s until Close, or until s is stopped. It returns at once and is called once.
func (l *Local) Serve(s *grpc.Server) {
	// Serve ends when the listener or the server is closed; there is nothing else it could say.
	l.serving.Go(func() { _ = s.Serve(l.listener) })
}

// Dial makes a client of the server, as the function Dial does.
func (l *Local) Dial(token string, opts ...grpc.DialOption) (*grpc.ClientConn, error) {
	dial := grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.listener.DialContext(ctx) })
	return Dial("passthrough:///in-process", token, append([]grpc.DialOption{dial}, opts...)...)
}

// Close ends the serving; the server itself is stopped by its owner.
func (l *Local) Close() error {
	err := l.listener.Close()
	l.serving.Wait()
	return err
}

// WithTLS has a client speak TLS.
func WithTLS(c *tls.Config) grpc.DialOption {
	return grpc.WithTransportCredentials(credentials.NewTLS(c))
}

// serverCredentials are those of a server: TLS from the network if there is a configuration, and nothing inside this process.
func serverCredentials(c *tls.Config) credentials.TransportCredentials {
	plain := insecure.NewCredentials()
	if c == nil {
		return plain
	}
	return mixed{TransportCredentials: credentials.NewTLS(c), plain: plain}
}

// mixed speaks TLS on connections of the network alone.
type mixed struct {
	credentials.TransportCredentials
	plain credentials.TransportCredentials
}

// ServerHandshake implements credentials.TransportCredentials.
func (m mixed) ServerHandshake(c net.Conn) (net.Conn, credentials.AuthInfo, error) {
	if c.LocalAddr().Network() == localNetwork {
		return m.plain.ServerHandshake(c)
	}
	return m.TransportCredentials.ServerHandshake(c)
}

// Clone implements credentials.TransportCredentials.
func (m mixed) Clone() credentials.TransportCredentials {
	return mixed{m.TransportCredentials.Clone(), m.plain.Clone()}
}

// localNetwork is what a connection inside this process says of its addresses.
const localNetwork = "bufconn"

// peerService is the service whose certificate the caller has proved to hold. The handshake has verified it.
func peerService(ctx context.Context) (string, bool) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return "", false
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.VerifiedChains) == 0 {
		return "", false
	}
	return pki.Identity(info.State.PeerCertificates[0])
}
