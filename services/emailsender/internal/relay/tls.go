package relay

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/trust"
)

// tlsConfig is how connections to a relay are encrypted, and the relay verified.
func (r Relay) tlsConfig() (*tls.Config, error) {
	anchors, err := trust.New(r.CAPEM)
	if err != nil {
		return nil, fmt.Errorf("the CA certificate of the SMTP settings can't be read: upload it again: it %w", err)
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	r.Compat.Apply(conf)
	anchors.Apply(conf, r.Host)
	return conf, nil
}

// peer is a relay in the words of its settings.
func (r Relay) peer() trust.Peer {
	return trust.Peer{Host: r.Host, Name: "relay", CAField: "caCertificatePem of the SMTP settings", LegacyField: "legacyTls",
		SmallField: "smallClientHello"}
}

// explained is an error with words that tell all there is to tell.
type explained struct {
	words string
	err   error
}

// Error returns the words.
func (e *explained) Error() string { return e.words }

// Unwrap is the cause.
func (e *explained) Unwrap() error { return e.err }

// failedTLS makes a failure of an error on the way to an encrypted connection. A handshake that is cut counts as TLS too: a
// server that can't agree often just hangs up.
func failedTLS(ctx context.Context, r Relay, err error) *Failure {
	f := failed(ctx, StepTLS, err)
	var verify *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	tlsFault := errors.As(err, &verify) || errors.As(err, &authority)
	if tlsFault || f.Fault != delivery.FaultConnectTimeout && f.Fault != delivery.FaultShutdown {
		f.Fault = delivery.FaultTLS
	}
	if words := r.peer().Explain(err); words != "" && f.Code == 0 {
		f.Cause = &explained{words: words, err: err}
	}
	return f
}

// diagnosed adds to a failed handshake what the relay wants instead. It tries that out where the relay did not say.
func (p *Pool) diagnosed(ctx context.Context, r Relay, f *Failure) *Failure {
	if f == nil || f.Step != StepTLS || f.Fault != delivery.FaultTLS || f.Cause == nil || !trust.Unclear(f.Cause) {
		return f
	}
	if words := p.findings.Of(r.address(), func() (string, bool) { return r.diagnose(ctx) }); words != "" {
		f.Cause = &explained{words: words, err: f.Cause}
	}
	return f
}

// diagnose finds out with which concession a relay would shake hands. Words is empty if with none. Sure says that all were tried out.
func (r Relay) diagnose(ctx context.Context) (words string, sure bool) {
	for _, t := range trust.Trials() {
		raw, err := (&net.Dialer{}).DialContext(ctx, "tcp", r.address())
		if err != nil {
			return "", false
		}
		c := &Conn{relay: r, raw: &limited{Conn: raw}}
		release := c.bind(ctx)
		var chosen tls.ConnectionState
		_ = c.open(ctx, t.Config(r.Host, &chosen)) // it always fails
		release()
		_ = raw.Close() // it has served
		if chosen.Version != 0 {
			return r.peer().Finding(t, chosen), true
		}
	}
	return "", ctx.Err() == nil
}
