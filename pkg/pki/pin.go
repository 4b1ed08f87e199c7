package pki

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/outbound-events/outbound/pkg/trust"
)

// fingerprintPrefix names the hash of a fingerprint.
const fingerprintPrefix = "sha256:"

// Fingerprint is the SHA-256 of a certificate in lower-case hexadecimal digits, e.g. sha256:9f86….
func Fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return fingerprintPrefix + hex.EncodeToString(sum[:])
}

// Pin is the fingerprint of a certificate that a server must present: its own, or that of its authority.
type Pin [sha256.Size]byte

// ParsePin reads a fingerprint as Fingerprint or openssl writes it, with or without the hash's name and colons.
func ParsePin(text string) (p Pin, err error) {
	digits := strings.TrimSpace(text)
	for _, name := range []string{fingerprintPrefix, "SHA256:", "SHA256 Fingerprint=", "sha256 Fingerprint="} {
		digits = strings.TrimPrefix(digits, name)
	}
	b, err := hex.DecodeString(strings.ReplaceAll(digits, ":", ""))
	if err != nil || len(b) != len(p) {
		return p, fmt.Errorf("%q is not a SHA-256 fingerprint: use sha256: and 64 hexadecimal digits", text)
	}
	return Pin(b), nil
}

// Client is the configuration of a connection to a host whose server must present the pinned certificate.
func (p Pin) Client(host string) *tls.Config {
	c := &tls.Config{MinVersion: leastVersion, ServerName: host}
	c.InsecureSkipVerify = true
	c.VerifyConnection = func(s tls.ConnectionState) error {
		if err := p.verify(s.PeerCertificates, host, time.Now()); err != nil {
			return &tls.CertificateVerificationError{UnverifiedCertificates: s.PeerCertificates, Err: err}
		}
		return nil
	}
	return c
}

// verify trusts the pinned certificate alone. It is the server's own, or the root of a chain to it.
func (p Pin) verify(chain []*x509.Certificate, host string, now time.Time) error {
	if len(chain) == 0 {
		return errors.New("the server presented no certificate")
	}
	for _, c := range chain {
		if sha256.Sum256(c.Raw) == p {
			_, err := trust.Of(c).Verify(chain, host, now)
			return err
		}
	}
	var had []string
	for _, c := range chain {
		had = append(had, Fingerprint(c))
	}
	return fmt.Errorf("no certificate of the server has the pinned fingerprint; it presented %s", strings.Join(had, ", "))
}

// Same is the configuration of a connection to a server on this host whose certificate file is known: the server must present the very
// certificates of the file, whatever host they are for.
func Same(file []*x509.Certificate) *tls.Config {
	c := &tls.Config{MinVersion: leastVersion}
	c.InsecureSkipVerify = true
	c.VerifyConnection = func(s tls.ConnectionState) error {
		if len(file) > 0 && len(s.PeerCertificates) > 0 && bytes.Equal(file[0].Raw, s.PeerCertificates[0].Raw) {
			return nil
		}
		return &tls.CertificateVerificationError{UnverifiedCertificates: s.PeerCertificates,
			Err: errors.New("the server's certificate is not the one in its file")}
	}
	return c
}

// Trusting is the configuration of a connection to a server of the given authorities.
func Trusting(pool *x509.CertPool) *tls.Config {
	return &tls.Config{MinVersion: leastVersion, RootCAs: pool}
}
