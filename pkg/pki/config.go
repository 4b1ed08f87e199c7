package pki

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

// leastVersion is the oldest TLS that is spoken: RFC 8996 has 1.0 and 1.1 out of use.
const leastVersion = tls.VersionTLS12

// configure makes the configurations of listeners.
func (s *state) configure() {
	if s.pair == nil {
		return
	}
	s.front = &tls.Config{MinVersion: leastVersion, NextProtos: []string{"h2", "http/1.1"}, Certificates: []tls.Certificate{*s.pair}}
	s.server = s.front.Clone()
	if s.pool != nil {
		s.server.ClientAuth, s.server.ClientCAs = tls.VerifyClientCertIfGiven, s.pool
	}
}

// Front is the configuration of a listener for people, programs and appliances, who prove themselves by tokens and passwords. Each
// handshake uses the files as they are then.
func (f *Files) Front() *tls.Config {
	return f.listening(func(s *state) *tls.Config { return s.front })
}

// Server is Front that also asks for the certificate of a service. One that is given and not of our authorities is refused; without one
// the peer is no service yet.
func (f *Files) Server() *tls.Config {
	return f.listening(func(s *state) *tls.Config { return s.server })
}

func (f *Files) listening(of func(*state) *tls.Config) *tls.Config {
	return &tls.Config{
		MinVersion: leastVersion, NextProtos: []string{"h2", "http/1.1"},
		// Both are set: some libraries look at the first alone to see whether there is a certificate.
		GetCertificate:     func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return f.state.Load().pair, nil },
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return of(f.state.Load()), nil },
	}
}

// Client is the configuration of a connection to another service at a target, host:port or dns:///host:port. It presents the process's
// certificate. The server must have one of our authorities for the host, and if it has an identity, this one.
func (f *Files) Client(target, service string) *tls.Config {
	host := hostOf(target)
	c := &tls.Config{
		MinVersion: leastVersion, NextProtos: []string{"h2"}, ServerName: host,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			if p := f.state.Load().pair; p != nil {
				return p, nil
			}
			return &tls.Certificate{}, nil
		},
	}
	// The roots may change while connections are made, so that verification is left to VerifyConnection, which no handshake goes without.
	c.InsecureSkipVerify = true
	c.VerifyConnection = func(s tls.ConnectionState) error {
		if err := verify(s.PeerCertificates, f.state.Load().pool, host, f.now()); err != nil {
			return &tls.CertificateVerificationError{UnverifiedCertificates: s.PeerCertificates, Err: err}
		}
		if is, ok := Identity(s.PeerCertificates[0]); ok && is != service {
			return fmt.Errorf("the server at %s has the certificate of %s, not of %s", target, is, service)
		}
		return nil
	}
	return c
}

func verify(chain []*x509.Certificate, roots *x509.CertPool, host string, now time.Time) error {
	if len(chain) == 0 {
		return errors.New("the server presented no certificate")
	}
	o := x509.VerifyOptions{DNSName: host, Roots: roots, CurrentTime: now, Intermediates: x509.NewCertPool()}
	for _, c := range chain[1:] {
		o.Intermediates.AddCert(c)
	}
	_, err := chain[0].Verify(o)
	return err
}

// hostOf is the host of a target of gRPC.
func hostOf(target string) string {
	if _, after, ok := strings.Cut(target, "://"); ok {
		target = after[strings.LastIndex(after, "/")+1:]
	}
	if host, _, err := net.SplitHostPort(target); err == nil {
		return host
	}
	return strings.Trim(target, "[]")
}

// listener speaks TLS on the connections of another listener. Unlike that of crypto/tls it can have a deadline.
type listener struct {
	net.Listener
	config *tls.Config
}

// Listener speaks TLS on the connections of l. Nil: l as it is.
func Listener(l net.Listener, c *tls.Config) net.Listener {
	if c == nil {
		return l
	}
	return &listener{Listener: l, config: c}
}

// Accept waits for a connection. The handshake comes with its first read.
func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return tls.Server(c, l.config), nil
}

// SetDeadline bounds Accept, where the listener can.
func (l *listener) SetDeadline(t time.Time) error {
	if d, ok := l.Listener.(interface{ SetDeadline(t time.Time) error }); ok {
		return d.SetDeadline(t)
	}
	return errors.ErrUnsupported
}
