package relay

import (
	"context"
	"crypto/tls"
	"fmt"

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

// explain has a failed handshake tell in words what failed.
func (r Relay) explain(f *Failure) *Failure {
	if f.Fault != delivery.FaultTLS || f.Code != 0 || f.Cause == nil {
		return f
	}
	if words := r.peer().Explain(f.Cause); words != "" {
		f.Cause = &explained{words: words, err: f.Cause}
	}
	return f
}

// diagnosed adds to a failed handshake what the relay wants instead. It tries that out where the relay did not say.
func (p *Pool) diagnosed(ctx context.Context, d dialing, f *Failure) *Failure {
	if f == nil || f.Fault != delivery.FaultTLS || f.Code != 0 || f.Cause == nil || !trust.Unclear(f.Cause) {
		return f
	}
	if words := p.findings.Of(d.relay.address(), func() (string, bool) { return d.diagnose(ctx) }); words != "" {
		f.Cause = &explained{words: words, err: f.Cause}
	}
	return f
}

// diagnose finds out with which concession a relay would shake hands. Words is empty if with none. Sure says that all were tried out.
func (d dialing) diagnose(ctx context.Context) (words string, sure bool) {
	r := d.relay
	for _, t := range trust.Trials() {
		c := &session{relay: r, hurry: d.hurry}
		if c.connect(ctx) != nil {
			return "", false
		}
		release := c.raw.bind(ctx)
		var chosen tls.ConnectionState
		_ = c.open(ctx, t.Config(r.Host, &chosen)) // it always fails
		release()
		_ = c.raw.Close() // it has served
		if chosen.Version != 0 {
			return r.peer().Finding(t, chosen), true
		}
	}
	return "", ctx.Err() == nil
}
