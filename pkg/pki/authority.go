package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/outbound-events/outbound/pkg/certificate"
)

// The files of an authority and of a certificate that it has issued, named as in a Secret of the type kubernetes.io/tls.
const (
	FileCA    = "ca.crt"
	FileCAKey = "ca.key"
	FileCert  = "tls.crt"
	FileKey   = "tls.key"
)

const (
	// caLife and leafLife are how long certificates are valid. What has a third of it left is renewed.
	caLife      = 10 * 365 * 24 * time.Hour
	leafLife    = 365 * 24 * time.Hour
	renewPart   = 3
	clockLeeway = time.Hour
)

// Authority is a local certificate authority: a certificate and its key in a folder.
type Authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// OpenAuthority reads the authority of a folder and makes it, with the folder, if there is none. Its certificate is renewed with the same
// key when a third of its life is left.
func OpenAuthority(dir string, now time.Time) (*Authority, error) {
	certFile, keyFile := filepath.Join(dir, FileCA), filepath.Join(dir, FileCAKey)
	text, errCert := os.ReadFile(certFile)
	key, errKey := os.ReadFile(keyFile)
	switch {
	case errors.Is(errCert, fs.ErrNotExist) && errors.Is(errKey, fs.ErrNotExist):
		return createAuthority(dir, now)
	case errCert != nil:
		return nil, fmt.Errorf("read the authority: %w: restore it, or remove %s too to have a new authority made, which clients do not "+
			"trust yet", errCert, keyFile)
	case errKey != nil:
		return nil, fmt.Errorf("read the authority's key: %w: restore it, or remove %s too to have a new authority made, which clients do "+
			"not trust yet", errKey, certFile)
	}
	pair, err := certificate.Pair(string(text), string(key))
	if err != nil {
		return nil, fmt.Errorf("the authority's key %s %w", keyFile, err)
	}
	signer, ok := pair.PrivateKey.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("the authority's key %s can't sign", keyFile)
	}
	c, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", certFile, err)
	}
	if !c.IsCA {
		return nil, fmt.Errorf("the certificate in %s is not that of an authority", certFile)
	}
	a := &Authority{cert: c, key: signer}
	if !due(c, now) {
		return a, nil
	}
	renewed := authorityTemplate(c.Subject, now)
	renewed.RawSubject = c.RawSubject // so that what was issued before fits
	if a.cert, err = sign(renewed, nil, a.key.Public(), a.key); err != nil {
		return nil, err
	}
	return a, replaceFile(certFile, a.CertificatePEM())
}

func createAuthority(dir string, now time.Time) (*Authority, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the authority's folder: %w", err)
	}
	key, text, err := newKey()
	if err != nil {
		return nil, err
	}
	// The number tells the authorities of several installations apart.
	n, err := rand.Int(rand.Reader, big.NewInt(1<<32))
	if err != nil {
		return nil, fmt.Errorf("name the authority: %w", err)
	}
	name := pkix.Name{CommonName: fmt.Sprintf("Outbound local CA %08x", n), Organization: []string{"Outbound"}}
	a := &Authority{key: key}
	if a.cert, err = sign(authorityTemplate(name, now), nil, key.Public(), key); err != nil {
		return nil, err
	}
	// The key first: a certificate without one is of no use.
	if err := replaceFile(filepath.Join(dir, FileCAKey), text); err != nil {
		return nil, err
	}
	return a, replaceFile(filepath.Join(dir, FileCA), a.CertificatePEM())
}

func authorityTemplate(name pkix.Name, now time.Time) *x509.Certificate {
	return &x509.Certificate{Subject: name, NotBefore: now.Add(-clockLeeway), NotAfter: now.Add(caLife), IsCA: true,
		BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign}
}

// CertificatePEM is the authority's certificate.
func (a *Authority) CertificatePEM() []byte {
	return []byte(certificate.Encode([]*x509.Certificate{a.cert}))
}

// Fingerprint is that of the authority's certificate.
func (a *Authority) Fingerprint() string { return Fingerprint(a.cert) }

// Subject is whom a certificate is for.
type Subject struct {
	// Service is its identity. Empty: it has none.
	Service string
	// Hosts are the DNS names and IP addresses that it is reached by.
	Hosts []string
}

// Ensure keeps the certificate of a folder if the authority has issued it for the subject and more than a third of its life is left. Else
// it issues another, with a new key. The key file is its owner's alone.
func (a *Authority) Ensure(dir string, s Subject, now time.Time) (issued bool, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return false, fmt.Errorf("make a folder for the certificate: %w", err)
	}
	if a.keeps(dir, s, now) {
		return false, nil
	}
	key, text, err := newKey()
	if err != nil {
		return false, err
	}
	c, err := sign(leafTemplate(s, now, a.cert.NotAfter), a.cert, key.Public(), a.key)
	if err != nil {
		return false, err
	}
	if err := replaceFile(filepath.Join(dir, FileKey), text); err != nil {
		return false, err
	}
	// The authority's own comes with it, so that a client can pin it.
	chain := certificate.Encode([]*x509.Certificate{c, a.cert})
	return true, replaceFile(filepath.Join(dir, FileCert), []byte(chain))
}

// keeps reports whether the certificate in a folder can stay.
func (a *Authority) keeps(dir string, s Subject, now time.Time) bool {
	text, errCert := os.ReadFile(filepath.Join(dir, FileCert))
	key, errKey := os.ReadFile(filepath.Join(dir, FileKey))
	if errCert != nil || errKey != nil {
		return false
	}
	if _, err := certificate.Pair(string(text), string(key)); err != nil {
		return false
	}
	chain, err := certificate.Parse(string(text))
	if err != nil || len(chain) < 2 || !chain[1].Equal(a.cert) || chain[0].CheckSignatureFrom(a.cert) != nil || due(chain[0], now) {
		return false
	}
	if is, ok := Identity(chain[0]); is != s.Service || ok != (s.Service != "") {
		return false
	}
	return !slices.ContainsFunc(s.Hosts, func(host string) bool { return chain[0].VerifyHostname(host) != nil })
}

// due reports whether a certificate has a third of its life left, or less.
func due(c *x509.Certificate, now time.Time) bool {
	return c.NotAfter.Sub(now) < c.NotAfter.Sub(c.NotBefore)/renewPart || now.Before(c.NotBefore)
}

func leafTemplate(s Subject, now, last time.Time) *x509.Certificate {
	end := now.Add(leafLife)
	if last.Before(end) {
		end = last
	}
	c := &x509.Certificate{NotBefore: now.Add(-clockLeeway), NotAfter: end, KeyUsage: x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		Subject: pkix.Name{CommonName: "outbound", Organization: []string{"Outbound"}}}
	if s.Service != "" {
		c.Subject.CommonName, c.URIs = commonName(s.Service), []*url.URL{identityURI(s.Service)}
	}
	for _, host := range s.Hosts {
		if ip := net.ParseIP(host); ip != nil {
			c.IPAddresses = append(c.IPAddresses, ip)
		} else {
			c.DNSNames = append(c.DNSNames, host)
		}
	}
	return c
}

// newKey makes a key of the curve P-256, which every client of TLS 1.2 knows.
func newKey() (*ecdsa.PrivateKey, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make a key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, fmt.Errorf("encode a key: %w", err)
	}
	return key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// sign issues a certificate; without an issuer it signs itself.
func sign(template, issuer *x509.Certificate, public crypto.PublicKey, key crypto.Signer) (*x509.Certificate, error) {
	if issuer == nil {
		issuer = template
	}
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, fmt.Errorf("number a certificate: %w", err)
	}
	template.SerialNumber = n.Add(n, big.NewInt(1))
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, public, key)
	if err != nil {
		return nil, fmt.Errorf("issue a certificate: %w", err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("read the certificate that was issued: %w", err)
	}
	return c, nil
}

// replaceFile writes a file that its owner alone may read, whole or not at all.
func replaceFile(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
