package egress

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"github.com/outbound-events/outbound/pkg/trust"
)

// Stage is how far a dial came.
type Stage int

// The stages.
const (
	// StageLookup is looking the name up.
	StageLookup Stage = iota + 1
	// StageForbidden is the guard's refusal; nothing was sent.
	StageForbidden
	// StageConnect is TCP.
	StageConnect
	// StageTLS is the handshake.
	StageTLS
	// StageProxy is the outbound proxy: it is away, or refuses.
	StageProxy
)

// DialError says at which stage a dial failed. Its text is for operators and holds no more of the URL than its host.
type DialError struct {
	Stage Stage
	// Host and port dialled.
	Address string
	// Timeout says that it took too long.
	Timedout bool
	words    string
	err      error
}

// Error says in words what happened.
func (e *DialError) Error() string { return e.words }

// Unwrap is the cause.
func (e *DialError) Unwrap() error { return e.err }

// Timeout reports whether it took too long, as net.Error has it.
func (e *DialError) Timeout() bool { return e.Timedout }

// Temporary is there for net.Error; nothing depends on it.
func (e *DialError) Temporary() bool { return e.Timedout }

var _ net.Error = (*DialError)(nil)

// dialer dials what its guard allows.
type dialer struct {
	guard *Guard
	proxy *Proxy
	net   net.Dialer
	tls   *tls.Config
	// certificate is presented to a receiver that asks for one; nil: none.
	certificate *tls.Certificate
	// anchors verify the receiver. Findings are what made its handshakes fail.
	anchors  *trust.Anchors
	findings trust.Findings
}

func newDialer(o TransportOptions) *dialer {
	d := &dialer{guard: o.Guard, proxy: o.Proxy, anchors: o.Anchors}
	d.net = net.Dialer{
		Timeout:  o.Timeout,
		Resolver: o.Resolver,
		ControlContext: func(ctx context.Context, _, address string, _ syscall.RawConn) error {
			to, err := netip.ParseAddrPort(address)
			if err != nil {
				return &ForbiddenError{Why: fmt.Sprintf("%q is not a valid address", address), Never: true}
			}
			return d.guard.Check(ctx, to)
		},
	}
	d.tls = &tls.Config{
		MinVersion: tls.VersionTLS12, RootCAs: o.Roots, ClientSessionCache: tls.NewLRUClientSessionCache(1),
		NextProtos: []string{"http/1.1"},
		// IIS and some API gateways ask for the client certificate once they know the path. HTTP/1.1 alone allows that.
		Renegotiation: tls.RenegotiateOnceAsClient,
	}
	o.Compat.Apply(d.tls)
	d.certificate = o.Certificate
	return d
}

// dial connects. Every error is a *DialError.
func (d *dialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	return dialAny(ctx, &d.net, network, address)
}

// dialTLS connects and shakes hands. Every error is a *DialError.
func (d *dialer) dialTLS(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.net.Timeout)
	defer cancel()
	conn, err := d.reach(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return d.handshake(ctx, conn, address)
}

// reach connects to a target, through the proxy if there is one. Every error is a *DialError.
func (d *dialer) reach(ctx context.Context, network, address string) (net.Conn, error) {
	if d.proxy != nil {
		return d.tunnel(ctx, network, address)
	}
	return d.dial(ctx, network, address)
}

// handshake speaks TLS on a connection, which it closes if that fails. Every error is a *DialError.
func (d *dialer) handshake(ctx context.Context, conn net.Conn, address string) (*tls.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		_ = conn.Close() // the address is the fault to tell
		return nil, &DialError{Stage: StageConnect, Address: address, words: "read the address: " + err.Error(), err: err}
	}
	host = strings.TrimSuffix(host, ".")
	config := d.tls.Clone()
	d.anchors.Apply(config, host)
	below := &askedConn{Conn: conn}
	config.GetClientCertificate = below.present(d.certificate)
	secure := tls.Client(below, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close()                         // the handshake is the fault to tell
		config.ClientSessionCache.Put(host, nil) // a session that is resumed with a chain that no longer verifies
		e := d.diagnosed(ctx, explainTLS(address, host, err, time.Now()))
		if below.asked.Load() && wasCut(err) {
			e.words += AskedWords(d.certificate != nil)
		}
		return nil, e
	}
	return secure, nil
}

func explainDial(address string, err error) *DialError {
	e := &DialError{Stage: StageConnect, Address: address, err: err}
	var forbidden *ForbiddenError
	var dns *net.DNSError
	var op *net.OpError
	switch {
	case errors.As(err, &forbidden):
		e.Stage, e.words = StageForbidden, forbidden.Error()
	case errors.As(err, &dns):
		// The name server's address stays out: it is the operator's own network, not the receiver's.
		e.Stage, e.words, e.Timedout = StageLookup, "look up "+dns.Name+": "+dns.Err, false
		if dns.IsTimeout {
			e.words = "look up " + dns.Name + ": no name server responded in time"
		}
	case timedOut(err):
		e.Timedout, e.words = true, "connect to "+address+": no response in time"
	case errors.As(err, &op) && op.Addr != nil:
		e.words = "connect to " + op.Addr.String() + ": " + cause(op.Err)
	default:
		e.words = "connect to " + address + ": " + cause(err)
	}
	return e
}

// cause is the innermost error's text, which repeats no addresses.
func cause(err error) string {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err.Error()
		}
		err = inner
	}
}

func timedOut(err error) bool {
	var n net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &n) && n.Timeout()
}

func explainTLS(address, host string, err error, now time.Time) *DialError {
	e := &DialError{Stage: StageTLS, Address: address, err: err}
	var invalid x509.CertificateInvalidError
	var record tls.RecordHeaderError
	switch {
	case timedOut(err):
		e.Timedout, e.words = true, "TLS with "+address+": no response in time to the ClientHello: a device that drops large ones does "+
			"this, run diagnostics of the recipient"
	case errors.As(err, &invalid):
		e.words = "TLS: " + explainInvalid(invalid, now)
	case errors.As(err, &record):
		e.words = "TLS: " + address + " does not speak TLS"
	default:
		e.words = "TLS: handshake with " + address + ": " + strings.ReplaceAll(err.Error(), "tls: ", "")
		if wasCut(err) {
			e.words = "TLS: the receiver closed the connection during the handshake"
		}
		if words := peer(host).Explain(err); words != "" {
			e.words = "TLS: " + words
		}
	}
	return e
}

// wasCut reports whether the other side closed the connection without an alert.
func wasCut(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) }

func explainInvalid(err x509.CertificateInvalidError, now time.Time) string {
	if err.Reason != x509.Expired || err.Cert == nil {
		return "the certificate is invalid: " + strings.TrimPrefix(err.Error(), "x509: ")
	}
	const day = "2006-01-02 15:04 MST"
	if now.Before(err.Cert.NotBefore) {
		return "the certificate is not valid before " + err.Cert.NotBefore.UTC().Format(day)
	}
	return "the certificate expired on " + err.Cert.NotAfter.UTC().Format(day)
}
