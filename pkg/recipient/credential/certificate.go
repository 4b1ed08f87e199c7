package credential

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// ParseCertificates reads the certificates of a PEM text, in their order. What is not a certificate is an error.
func ParseCertificates(text string) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	rest := []byte(text)
	for {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		if block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("contains a PEM block %q: include only certificates, never a key", block.Type)
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d is not valid: %w", len(out)+1, err)
		}
		out = append(out, c)
	}
	switch {
	case len(out) == 0:
		return nil, errors.New("contains no PEM certificate: it must start with -----BEGIN CERTIFICATE-----")
	case strings.TrimSpace(string(rest)) != "":
		return nil, errors.New("contains data after the last certificate that is not PEM")
	}
	return out, nil
}

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
	if block, _ := pem.Decode([]byte(keyPEM)); block == nil {
		return tls.Certificate{}, errors.New("contains no PEM: it must start with -----BEGIN PRIVATE KEY-----")
	} else if strings.Contains(block.Type, "ENCRYPTED") || block.Headers["DEK-Info"] != "" {
		return tls.Certificate{}, errors.New("is protected by a passphrase: remove it (openssl pkey -in key.pem); Outbound stores the key " +
			"encrypted")
	}
	pair, err := tls.X509KeyPair([]byte(chainPEM), []byte(keyPEM))
	if err == nil {
		return pair, nil
	}
	if text := err.Error(); strings.Contains(text, "does not match") {
		return tls.Certificate{}, errors.New("does not match the certificate")
	}
	return tls.Certificate{}, errors.New("is not valid: use an RSA, ECDSA or ed25519 private key in PEM")
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
