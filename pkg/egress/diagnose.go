package egress

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"time"

	"github.com/outbound-events/outbound/pkg/trust"
)

// peer is a receiver in the words of its recipient's settings.
func peer(host string) trust.Peer {
	return trust.Peer{Host: host, Name: "receiver", CAField: "caCertificatePem of the recipient",
		LegacyField: "http.legacyTls", SmallField: "http.smallClientHello"}
}

// diagnosed adds to a failed handshake what the receiver wants instead. It tries that out where the receiver did not say: with an
// alert that names no cause, or by closing. A handshake that took too long leaves no time for it; the doctor does it then.
func (d *dialer) diagnosed(ctx context.Context, e *DialError) *DialError {
	if e.Timedout || !trust.Unclear(e.err) {
		return e
	}
	words := d.findings.Of(e.Address, func() (string, bool) { return d.diagnose(ctx, e.Address) })
	if words != "" {
		e.words = "TLS: " + words
	}
	return e
}

// diagnose finds out with which concession a receiver would shake hands. Words is empty if with none. Sure says that all were tried
// out. No request and no client certificate is sent.
func (d *dialer) diagnose(ctx context.Context, address string) (words string, sure bool) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return "", false
	}
	for _, t := range trust.Trials() {
		conn, err := d.reach(ctx, "tcp", address)
		if err != nil {
			return "", false
		}
		var chosen tls.ConnectionState
		_ = tls.Client(conn, t.Config(host, &chosen)).HandshakeContext(ctx) // it always fails
		_ = conn.Close()                                                    // it has served
		if chosen.Version != 0 {
			return peer(host).Finding(t, chosen), true
		}
	}
	return "", ctx.Err() == nil
}

// patient diagnoses a handshake that took too long, for the doctor: it has time of its own for it.
func (d *dialer) patient(ctx context.Context, timeout time.Duration, err error) error {
	var e *DialError
	if !errors.As(err, &e) || !e.Timedout || e.Stage != StageTLS {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if words, _ := d.diagnose(ctx, e.Address); words != "" {
		e.words = strings.TrimSuffix(e.words, ".") + "; " + words
	}
	return e
}
