// Package certtest makes certificates for tests.
package certtest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"testing"
	"time"
)

// Pair is a certificate with its key. PEM and KeyPEM are both in PEM, KeyDER is the key in PKCS #8.
type Pair struct {
	PEM, KeyPEM string
	Cert        *x509.Certificate
	Key         crypto.Signer
	KeyDER      []byte
}

// TLS returns the pair as crypto/tls takes it.
func (p Pair) TLS() tls.Certificate {
	return tls.Certificate{Certificate: [][]byte{p.Cert.Raw}, PrivateKey: p.Key}
}

// NewKey returns an ECDSA key.
func NewKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatalf("make a key: %v", err)
	}
	return key
}

// SelfSigned returns a certificate that has signed itself. It is named `test`, is valid for an hour before and after now, and is not a CA;
// change, if given, may alter all of that.
func SelfSigned(t testing.TB, change func(*x509.Certificate)) Pair {
	t.Helper()
	return SelfSignedWith(t, NewKey(t), change)
}

// SelfSignedWith is SelfSigned with a key of the caller.
func SelfSignedWith(t testing.TB, key crypto.Signer, change func(*x509.Certificate)) Pair {
	t.Helper()
	template := newTemplate(change)
	return sign(t, template, Pair{Cert: template, Key: key}, key)
}

// Authority returns a CA with a name.
func Authority(t testing.TB, name string) Pair {
	t.Helper()
	return SelfSigned(t, func(c *x509.Certificate) {
		c.Subject.CommonName, c.IsCA, c.KeyUsage = name, true, x509.KeyUsageCertSign
	})
}

// Issue returns a certificate that the pair has signed. Its defaults are those of SelfSigned but for the serial number, 2.
func (p Pair) Issue(t testing.TB, change func(*x509.Certificate)) Pair {
	t.Helper()
	return sign(t, newTemplate(func(c *x509.Certificate) {
		c.SerialNumber = big.NewInt(2)
		if change != nil {
			change(c)
		}
	}), p, NewKey(t))
}

func newTemplate(change func(*x509.Certificate)) *x509.Certificate {
	now := time.Now()
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		BasicConstraintsValid: true,
	}
	if change != nil {
		change(c)
	}
	return c
}

func sign(t testing.TB, template *x509.Certificate, issuer Pair, key crypto.Signer) Pair {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, issuer.Cert, key.Public(), issuer.Key)
	if err != nil {
		t.Fatalf("make a certificate: %v", err)
	}
	p := Pair{PEM: encode("CERTIFICATE", der), Key: key}
	if p.Cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatalf("parse a certificate: %v", err)
	}
	if p.KeyDER, err = x509.MarshalPKCS8PrivateKey(key); err != nil {
		t.Fatalf("encode a key: %v", err)
	}
	p.KeyPEM = encode("PRIVATE KEY", p.KeyDER)
	return p
}

func encode(label string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: label, Bytes: der}))
}
