package credential

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/outbound-events/outbound/pkg/certificate"
)

// ParseCertificates reads the certificates of a text, in their order. What is not a certificate is an error.
func ParseCertificates(text string) ([]*x509.Certificate, error) { return certificate.Parse(text) }

// CheckClientCertificate reports why a PEM chain, its leaf first, can't be presented to a receiver now, or nil.
func CheckClientCertificate(chainPEM string, now time.Time) error {
	chain, err := ParseCertificates(chainPEM)
	if err != nil {
		return err
	}
	for i, c := range chain {
		who := fmt.Sprintf("certificate %d (%s) ", i+1, c.Subject.CommonName)
		if now.After(c.NotAfter) {
			return fmt.Errorf("%sexpired on %s", who, c.NotAfter.UTC().Format(time.DateOnly))
		}
		if i > 0 && chain[i-1].CheckSignatureFrom(c) != nil {
			return errors.New(who + "did not sign the previous one: put the chain in order, client certificate first")
		}
	}
	leaf := chain[0]
	// A certificate that names no purpose serves all.
	if (len(leaf.ExtKeyUsage) > 0 || len(leaf.UnknownExtKeyUsage) > 0) &&
		!slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageClientAuth) && !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageAny) {
		return errors.New("is not for TLS clients: its extended key usage must name clientAuth")
	}
	return nil
}

// ClientCertificate joins a chain with its private key. Its error tells nothing of the key.
func ClientCertificate(chainPEM, keyPEM string) (tls.Certificate, error) {
	return certificate.Pair(chainPEM, keyPEM)
}

// SameKey reports whether the first certificates of two chains have one public key, so that a private key serves both.
func SameKey(onePEM, otherPEM string) bool {
	one, err := ParseCertificates(onePEM)
	if err != nil {
		return false
	}
	other, err := ParseCertificates(otherPEM)
	return err == nil && slices.Equal(one[0].RawSubjectPublicKeyInfo, other[0].RawSubjectPublicKeyInfo)
}
