package emailsender_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/certtest"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/settings"
	"github.com/outbound-events/outbound/pkg/smtptest"
	"github.com/outbound-events/outbound/services/emailsender"
)

// selfSigned is a certificate of a relay that is no CA's, and its PEM.
func selfSigned(t *testing.T, change func(*x509.Certificate)) (*tls.Certificate, string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p := certtest.SelfSignedWith(t, key, func(c *x509.Certificate) {
		c.Subject.CommonName, c.IPAddresses = "relay", []net.IP{net.IPv4(127, 0, 0, 1)}
		change(c)
	})
	pair := p.TLS()
	return &pair, p.PEM
}

// TestRelaysWithTheirOwnCertificate has relays whose certificate is pinned, in each kind that appliances make by themselves.
func TestRelaysWithTheirOwnCertificate(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*x509.Certificate)
		words  string // empty: delivered
	}{
		"CA:FALSE":            {func(*x509.Certificate) {}, ""},
		"no basicConstraints": {func(c *x509.Certificate) { c.BasicConstraintsValid = false }, ""},
		"no subjectAltName":   {func(c *x509.Certificate) { c.IPAddresses = nil }, ""},
		"expired":             {func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }, "expired"},
		"another host": {func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = nil, []string{"other.example.com"} },
			"not for 127.0.0.1 but for other.example.com"},
	} {
		t.Run(name, func(t *testing.T) {
			cert, text := selfSigned(t, c.change)
			for _, encryption := range []settings.Encryption{settings.STARTTLS, settings.TLS} {
				srv := smtptest.Start(t, smtptest.Options{Certificate: cert, Implicit: encryption == settings.TLS})
				conf := relayOf(srv)
				conf.change(func(s *settings.SMTP) {
					s.Encryption, s.CAPEM = encryption, "\ufeff"+strings.ReplaceAll(text, "\n", "\r")
				})
				v, _ := try(t, emailsender.NewSender(t, options(), conf), deliveryTo(alice))
				if (v.Kind == delivery.Delivered) != (c.words == "") || !strings.Contains(v.Detail, c.words) {
					t.Errorf("%s: %+v, want words like %q", encryption, v, c.words)
				}
				if n := len(srv.Mails()); (n == 1) != (c.words == "") {
					t.Errorf("%s: %d mails arrived", encryption, n)
				}
			}
		})
	}
}

// TestOldRelay has a relay that knows RSA key exchange alone.
func TestOldRelay(t *testing.T) {
	cert, text := selfSigned(t, func(*x509.Certificate) {})
	for _, encryption := range []settings.Encryption{settings.STARTTLS, settings.TLS} {
		srv := smtptest.Start(t, smtptest.Options{Certificate: cert, Implicit: encryption == settings.TLS,
			Ciphers: []uint16{tls.TLS_RSA_WITH_AES_256_CBC_SHA}})
		conf := relayOf(srv)
		conf.change(func(s *settings.SMTP) { s.Encryption, s.CAPEM = encryption, text })
		s := emailsender.NewSender(t, options(), conf)
		v, _ := try(t, s, deliveryTo(alice))
		want(t, v, delivery.Retry, reasons.TLS)
		for _, word := range []string{"TLS_RSA_WITH_AES_256_CBC_SHA", "RSA key exchange", "CBC", "legacyTls"} {
			if !strings.Contains(v.Detail, word) {
				t.Errorf("%s: %q does not name %s", encryption, v.Detail, word)
			}
		}
		conf.change(func(s *settings.SMTP) { s.LegacyTLS = true })
		v, _ = try(t, s, deliveryTo(alice))
		want(t, v, delivery.Delivered, reasons.OK)
		if n := len(srv.Mails()); n != 1 {
			t.Errorf("%s: %d mails arrived", encryption, n)
		}
	}
}
