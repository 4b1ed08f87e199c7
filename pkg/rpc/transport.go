package rpc

import (
	"context"
	"crypto/tls"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/peer"

	"github.com/outbound-events/outbound/pkg/pki"
)

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
