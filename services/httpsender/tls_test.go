package httpsender_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/recipient"
)

func TestTLSIsVerifiedWithTheRecipientsOwnRoots(t *testing.T) {
	ours, theirs := newAuthority(t, "our root"), newAuthority(t, "their root")
	at := func(from, to time.Duration) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.NotBefore, c.NotAfter = time.Now().Add(from), time.Now().Add(to) }
	}
	elsewhere := func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = nil, []string{"other.example.com"} }
	for _, c := range []struct {
		name   string
		server *tls.Config
		roots  string
		detail string // empty: delivered
	}{
		{"own CA", &tls.Config{Certificates: []tls.Certificate{ours.issue(t, nil)}}, ours.pem, ""},
		{"own CA, TLS 1.2 alone", &tls.Config{Certificates: []tls.Certificate{ours.issue(t, nil)}, MaxVersion: tls.VersionTLS12}, ours.pem, ""},
		{"no CA uploaded", &tls.Config{Certificates: []tls.Certificate{ours.issue(t, nil)}}, "",
			`unknown authority ("our root"): set caCertificatePem`},
		{"another's CA uploaded", &tls.Config{Certificates: []tls.Certificate{ours.issue(t, nil)}}, theirs.pem, "unknown authority"},
		{"expired", &tls.Config{Certificates: []tls.Certificate{ours.issue(t, at(-2*time.Hour, -time.Hour))}}, ours.pem,
			"the certificate expired on 2"},
		{"not yet valid", &tls.Config{Certificates: []tls.Certificate{ours.issue(t, at(time.Hour, 2*time.Hour))}}, ours.pem,
			"not valid before 2"},
		{"wrong host", &tls.Config{Certificates: []tls.Certificate{ours.issue(t, elsewhere)}}, ours.pem,
			"not for 127.0.0.1 but for other.example.com"},
		{"no name", &tls.Config{Certificates: []tls.Certificate{ours.issue(t, func(c *x509.Certificate) { c.IPAddresses = nil })}}, ours.pem,
			"no name at all"},
		{"a client's certificate", &tls.Config{Certificates: []tls.Certificate{ours.issue(t, func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		})}}, ours.pem, "incompatible key usage"},
		//nolint:gosec // the receiver under test is meant to be old
		{"TLS 1.1 alone", &tls.Config{Certificates: []tls.Certificate{ours.issue(t, nil)}, MinVersion: tls.VersionTLS10,
			MaxVersion: tls.VersionTLS11}, ours.pem, "protocol version"},
		{"wants a client certificate", &tls.Config{Certificates: []tls.Certificate{ours.issue(t, nil)}, ClientAuth: tls.RequireAnyClientCert},
			ours.pem, "certificate required"},
		{"roots that cannot be read", &tls.Config{Certificates: []tls.Certificate{ours.issue(t, nil)}}, "-----BEGIN NOTHING-----",
			"caCertificatePem"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newReceiver(t, c.server, func(http.ResponseWriter, *http.Request) {})
			o, v := attempt(t, newSender(t), deliveryTo(r.URL+"/?token=canary", func(r *recipient.Recipient) { r.HTTP.CAPEM = c.roots }))
			if c.detail == "" {
				if v.Kind != delivery.Delivered || r.requests.Load() != 1 {
					t.Errorf("got %+v, want it delivered", o)
				}
				return
			}
			if o.Fault != delivery.FaultTLS || v.Kind != delivery.Retry || v.Reason != reasons.TLS || !strings.Contains(v.Detail, c.detail) {
				t.Errorf("got %+v, %+v, want words like %q", o, v, c.detail)
			}
			if n := r.requests.Load(); n != 0 {
				t.Errorf("%d requests arrived", n)
			}
		})
	}
}

func TestReceiversThatDoNotFinishTheHandshake(t *testing.T) {
	for _, c := range []struct {
		name   string
		serve  func(int, net.Conn)
		limit  time.Duration
		fault  delivery.Fault
		detail string
	}{
		{"speaks plain HTTP", func(_ int, c net.Conn) { fmt.Fprint(c, "HTTP/1.1 400 Bad Request\r\n\r\n"); untilHalf(c) }, 10 * time.Second,
			delivery.FaultTLS, "does not speak TLS"},
		{"closes", func(int, net.Conn) {}, 10 * time.Second, delivery.FaultTLS, "closed the connection during the handshake"},
		{"hangs", func(_ int, c net.Conn) { untilClosed(c) }, 100 * time.Millisecond, delivery.FaultConnectTimeout, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			url := strings.Replace(rawReceiver(t, c.serve), "http://", "https://", 1)
			o, v := attempt(t, newSender(t), deliveryTo(url, timeout(c.limit)))
			if o.Fault != c.fault || v.Kind != delivery.Retry || !strings.Contains(v.Detail, c.detail) {
				t.Errorf("got %+v, %+v", o, v)
			}
		})
	}
}
