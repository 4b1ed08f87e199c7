package setup

import (
	"context"
	"crypto/tls"
	"fmt"

	"google.golang.org/grpc"

	"github.com/outbound-events/outbound/pkg/pki"
	"github.com/outbound-events/outbound/pkg/process"
	"github.com/outbound-events/outbound/pkg/rpc"
)

// openTLS reads the files of the certificate and watches them until Close.
func (p *Process) openTLS(ctx context.Context, o pki.Options) (err error) {
	if o == (pki.Options{}) {
		return nil
	}
	p.tls = o
	if p.files, err = pki.Load(o, p.Notices, process.Clock()); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		_ = p.files.Watch(ctx) // it ends with ctx alone
	}()
	p.Defer(func() { cancel(); <-watched })
	return nil
}

// frontTLS is the configuration of a listener for people and programs; nil without a certificate.
func (p *Process) frontTLS() *tls.Config {
	if !p.tls.Serves() {
		return nil
	}
	return p.files.Front()
}

// Secure reports whether the listeners of this process speak TLS.
func (p *Process) Secure() bool { return p.tls.Serves() }

// Proves reports whether this process proves to other services by its certificate who it is.
func (p *Process) Proves() bool { return p.tls.Proves() }

// Dial makes a client of a service at a target, which calls as the holder of a token; without one, as this service if it has a certificate.
// Close ends it.
func (p *Process) Dial(target, service, token string) (*grpc.ClientConn, error) {
	var opts []grpc.DialOption
	if p.tls.CAFile != "" {
		opts = append(opts, rpc.WithTLS(p.files.Client(target, service)))
	}
	return p.dial(target, token, opts...)
}

// DialBare makes a client of a service at a target that forwards the tokens of its own callers. It shows no certificate: who has no token
// must not call as this service.
func (p *Process) DialBare(target, service string) (*grpc.ClientConn, error) {
	var opts []grpc.DialOption
	if p.tls.CAFile != "" {
		c := p.files.Client(target, service)
		c.GetClientCertificate = nil
		opts = append(opts, rpc.WithTLS(c))
	}
	return p.dial(target, "", opts...)
}

func (p *Process) dial(target, token string, opts ...grpc.DialOption) (*grpc.ClientConn, error) {
	conn, err := rpc.Dial(target, token, opts...)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", target, err)
	}
	p.Defer(func() { _ = conn.Close() })
	return conn, nil
}

// dialConfig makes a client of the config service. A certificate goes before the service token.
func (p *Process) dialConfig(target string) (*grpc.ClientConn, error) {
	token := p.token
	if p.tls.Proves() {
		token = ""
	}
	return p.Dial(target, pki.ServiceConfig, token)
}
