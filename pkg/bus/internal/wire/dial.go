package wire

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/outbound-events/outbound/pkg/certificate"
	"github.com/outbound-events/outbound/pkg/logkey"
	"github.com/outbound-events/outbound/pkg/telemetry"
)

const (
	// dialTimeout bounds the time until a server has taken a connection and has said what it is.
	dialTimeout = 5 * time.Second
	// maxInfo bounds the first line of a server, which names all servers of its cluster.
	maxInfo = 1 << 20
)

// dialer opens connections to servers that are new enough, so that nothing is ever sent to an older one: neither at the start nor when a
// server is replaced, or the client goes on to another server of its cluster.
type dialer struct {
	// ctx ends attempts while the first connection is waited for.
	ctx context.Context
	// refused is told of each server that is too old.
	refused func(*VersionError)

	mu    sync.Mutex
	free  bool
	fault *VersionError
}

// connected has later attempts, which are those of a reconnect, go on although ctx ends.
func (d *dialer) connected() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.free, d.fault = true, nil
}

// tooOld is the server that was refused last; nil if none was since the last connection.
func (d *dialer) tooOld() *VersionError {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.fault
}

// Dial implements nats.CustomDialer.
func (d *dialer) Dial(network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(d.base(), dialTimeout)
	defer cancel()
	var plain net.Dialer
	conn, err := plain.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	first, err := firstLine(ctx, conn)
	if err == nil {
		err = d.check(first, address)
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return &peeked{Conn: conn, first: first}, nil
}

func (d *dialer) base() context.Context {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.free {
		return context.WithoutCancel(d.ctx)
	}
	return d.ctx
}

// check reads what a server says of itself before anything is sent to it: `INFO {"version":"2.15.2",…}`.
func (d *dialer) check(first []byte, address string) error {
	body, ok := bytes.CutPrefix(bytes.TrimSpace(first), []byte("INFO "))
	var info struct {
		Version string `json:"version"`
	}
	if !ok || json.Unmarshal(body, &info) != nil {
		return fmt.Errorf("%s does not answer as a nats-server: use the address that it listens on for clients", address)
	}
	if !tooOld(info.Version) {
		return nil
	}
	fault := &VersionError{Address: address, Version: info.Version}
	d.mu.Lock()
	d.fault = fault
	d.mu.Unlock()
	d.refused(fault)
	return fault
}

// firstLine reads up to the end of the first line, and what came with it.
func firstLine(ctx context.Context, conn net.Conn) ([]byte, error) {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })
	var out []byte
	part := make([]byte, 4096)
	for !bytes.ContainsRune(out, '\n') {
		n, err := conn.Read(part)
		out = append(out, part[:n]...)
		if err != nil && !bytes.ContainsRune(out, '\n') {
			return nil, fmt.Errorf("read what the server at %s says of itself: %w", conn.RemoteAddr(), err)
		}
		if len(out) > maxInfo {
			return nil, errors.New("the server's first line is too long")
		}
	}
	if !stop() {
		return nil, fmt.Errorf("read what the server at %s says of itself: %w", conn.RemoteAddr(), ctx.Err())
	}
	return out, nil
}

// peeked is a connection of which the beginning has been read.
type peeked struct {
	net.Conn
	first []byte
}

// Read gives the beginning again, then what follows. One goroutine reads a connection.
func (c *peeked) Read(p []byte) (int, error) {
	if len(c.first) > 0 {
		n := copy(p, c.first)
		c.first = c.first[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}

// clientCertificate is nats.ClientCert with the parser of all other certificates. The files are read at each connection.
func clientCertificate(certFile, keyFile string) nats.Option {
	read := func() (tls.Certificate, error) {
		chain, err := os.ReadFile(certFile)
		if err != nil {
			return tls.Certificate{}, fmt.Errorf("nats.certFile: %w", err)
		}
		key, err := os.ReadFile(keyFile)
		if err != nil {
			return tls.Certificate{}, fmt.Errorf("nats.keyFile: %w", err)
		}
		pair, err := certificate.Pair(string(chain), string(key))
		if err != nil {
			return tls.Certificate{}, fmt.Errorf("nats.keyFile: %s %w", keyFile, err)
		}
		return pair, nil
	}
	return func(o *nats.Options) error {
		if _, err := read(); err != nil {
			return err
		}
		o.TLSCertCB, o.Secure = read, true
		return nil
	}
}

// rootCAs is nats.RootCAs, which leaves out what it can't read of a file, with the parser of all other certificates. The file is read at
// each connection.
func rootCAs(file string) nats.Option {
	read := func() (*x509.CertPool, error) {
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read nats.caFile: %w", err)
		}
		pool, err := certificate.Pool(string(b))
		if err != nil {
			return nil, fmt.Errorf("nats.caFile: %s %w", file, err)
		}
		return pool, nil
	}
	return func(o *nats.Options) error {
		if _, err := read(); err != nil {
			return err
		}
		if o.TLSConfig == nil {
			o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		o.RootCAsCB, o.Secure = read, true
		return nil
	}
}

// ConnectPlain opens a connection for an account without JetStream, which signs in by itself. It comes back for ever; a broker that is away
// is waited for until ctx ends.
func (o Options) ConnectPlain(ctx context.Context, signIn nats.Option) (*nats.Conn, error) {
	opts := []nats.Option{
		nats.Name(o.Name), nats.MaxReconnects(-1), nats.ReconnectWait(connectPause), nats.PingInterval(15 * time.Second),
		nats.Timeout(dialTimeout), nats.ReconnectBufSize(-1), nats.IgnoreAuthErrorAbort(), signIn,
	}
	if o.Logger != nil {
		opts = append(opts,
			nats.ReconnectErrHandler(func(_ *nats.Conn, err error) {
				o.Logger.Warn("broker connection not opened", logkey.Of, o.Name, telemetry.KeyError, err.Error())
			}),
			nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
				o.Logger.Warn("broker refused a request", logkey.Of, o.Name, telemetry.KeyError, err.Error())
			}))
	}
	opts = append(opts, transportOptions(o)...)
	for {
		nc, err := nats.Connect(o.URL, opts...)
		if err == nil {
			return nc, nil
		}
		if refusesUser(err) {
			return nil, fmt.Errorf("connect to the broker at %s as %s: %w", o.URL, o.Name, err)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("connect to the broker at %s as %s: %w (last: %w)", o.URL, o.Name, ctx.Err(), err)
		case <-time.After(connectPause):
		}
	}
}

// transportOptions are the client library's options on TLS.
func transportOptions(o Options) []nats.Option {
	var opts []nats.Option
	if o.InProcess != nil {
		opts = append(opts, nats.InProcessServer(o.InProcess))
	}
	if o.CAFile != "" {
		opts = append(opts, rootCAs(o.CAFile))
	}
	if o.CertFile != "" || o.KeyFile != "" {
		opts = append(opts, clientCertificate(o.CertFile, o.KeyFile))
	}
	return opts
}
