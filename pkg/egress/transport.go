package egress

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"time"

	"github.com/outbound-events/outbound/pkg/certificate"
	"github.com/outbound-events/outbound/pkg/trust"
)

// TransportOptions are what the transport of one recipient is made of.
type TransportOptions struct {
	// Guard decides which addresses are dialled. Required.
	Guard *Guard
	// Anchors verify the receiver; nil: Roots.
	Anchors *trust.Anchors
	// Roots verify a receiver without Anchors; nil: the system's.
	Roots *x509.CertPool
	// Compat are the concessions to an old receiver.
	Compat trust.Compat
	// Certificate, if set, is presented to a receiver that asks for one, whichever authorities it names: a receiver that does not
	// take it says why, which tells more than none being there.
	Certificate *tls.Certificate
	// Timeout bounds a dial with its handshake, which may go on when the request that began it has ended.
	Timeout time.Duration
	// MaxConns is how many connections there are at most, and how many are kept. Required.
	MaxConns int
	// Resolver looks names up; nil: the default one.
	Resolver *net.Resolver
	// Proxy is what receivers are reached through; nil: they are dialled.
	Proxy *Proxy
}

const (
	// idleTimeout is below the 60 s and more after which common servers and load balancers close kept connections, so that we
	// close them first and seldom write into one that is gone.
	idleTimeout = 50 * time.Second
)

// MaxHeaderBytes is the longest header of an answer.
const MaxHeaderBytes = 64 << 10

// NewTransport makes the transport of one recipient: TLS 1.2 at least, verified by that recipient's roots alone, no proxy but
// the one in the options, no compression, HTTP/1.1 over connections that are kept, each a *Conn. Its
// dial errors are *DialError. Use RoundTrip: it follows no redirects.
// Close its idle connections when the recipient changes.
//
// HTTP/2 is left off: for many small requests at once HTTP/1.1 took 19 µs each and HTTP/2 30 µs (BenchmarkProtocols of httpsender), and a
// connection of its own for each request keeps one stuck request from the others.
func NewTransport(o TransportOptions) *http.Transport {
	d := newDialer(o)
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	t := &http.Transport{
		Proxy:                  nil,
		DialContext:            wrapped(d.dial),
		DialTLSContext:         wrapped(d.dialTLS),
		Protocols:              protocols,
		DisableCompression:     true,
		MaxResponseHeaderBytes: MaxHeaderBytes,
		MaxConnsPerHost:        o.MaxConns,
		MaxIdleConns:           o.MaxConns,
		MaxIdleConnsPerHost:    o.MaxConns,
		IdleConnTimeout:        idleTimeout,
	}
	if o.Proxy != nil {
		// Targets with https come to DialTLSContext, so that what DialContext is asked for is the proxy alone.
		t.Proxy, t.DialContext = d.route, wrapped(d.dialProxy)
	}
	return t
}

// ParseRoots reads root certificates in PEM; nil for an empty text, which means: the system's.
func ParseRoots(pem string) (*x509.CertPool, error) {
	if pem == "" {
		return nil, nil
	}
	return certificate.Pool(pem)
}
