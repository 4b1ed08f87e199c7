// Package trust decides whether a peer proves who it is by TLS, with the certificates that an operator has uploaded for it, and says in
// words why it does not. HTTP recipients, token servers and the relay are verified by the same rules.
package trust

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/outbound-events/outbound/pkg/certificate"
)

// Anchors are the certificates that are trusted for one peer. They are not changed once made. A nil value stands for the system's.
type Anchors struct {
	pool *x509.CertPool
	own  []*x509.Certificate
}

// New reads anchors; nil for an empty text, which means: the system's roots.
func New(text string) (*Anchors, error) {
	if text == "" {
		return nil, nil
	}
	own, err := certificate.Parse(text)
	if err != nil {
		return nil, err
	}
	a := &Anchors{pool: x509.NewCertPool(), own: own}
	a.fill()
	return a, nil
}

// WithSystem are the anchors and the system's roots, for a peer that may be in public.
func (a *Anchors) WithSystem() *Anchors {
	if a == nil {
		return nil
	}
	out := &Anchors{own: a.own}
	var err error
	if out.pool, err = x509.SystemCertPool(); err != nil {
		out.pool = x509.NewCertPool()
	}
	out.fill()
	return out
}

// Pool is the anchors for what verifies by itself. It knows a pinned certificate only if that has a subjectAltName.
func (a *Anchors) Pool() *x509.CertPool { return a.pool }

func (a *Anchors) fill() {
	for _, c := range a.own {
		a.pool.AddCert(c)
	}
}

// Of are anchors of certificates that are there already.
func Of(own ...*x509.Certificate) *Anchors {
	a := &Anchors{pool: x509.NewCertPool(), own: own}
	a.fill()
	return a
}

// Apply has a client's configuration verify its peer by the anchors. The host is what the peer must prove to be; the configuration's
// ServerName is set to it.
func (a *Anchors) Apply(c *tls.Config, host string) {
	c.ServerName = host
	if a == nil {
		return
	}
	// The standard library knows no pinned certificate, so it leaves verification to VerifyConnection, which no handshake goes without,
	// resumed ones included.
	c.InsecureSkipVerify = true
	now := c.Time
	if now == nil {
		now = time.Now
	}
	c.VerifyConnection = func(s tls.ConnectionState) error {
		if _, err := a.Verify(s.PeerCertificates, host, now()); err != nil {
			return &tls.CertificateVerificationError{UnverifiedCertificates: s.PeerCertificates, Err: err}
		}
		return nil
	}
}

// Verify checks the chain of a server, leaf first. Pinned says that the leaf is trusted because it is one of the anchors itself.
//
// A leaf that is an anchor needs no authority, so that it may lack basicConstraints, be CA:FALSE or of version 1, have any key usage and
// any signature: the operator has named this very certificate (raw bytes). It must be valid now, and for the host if it has a
// subjectAltName. Without one it is valid for the host it was uploaded for: RFC 9525 leaves the common name no part in it.
func (a *Anchors) Verify(chain []*x509.Certificate, host string, now time.Time) (pinned bool, err error) {
	if len(chain) == 0 {
		return false, errors.New("the server presented no certificate")
	}
	leaf := chain[0]
	o := x509.VerifyOptions{DNSName: host, CurrentTime: now, Intermediates: x509.NewCertPool()}
	if a != nil {
		o.Roots = a.pool
	}
	for _, c := range chain[1:] {
		o.Intermediates.AddCert(c)
	}
	_, err = leaf.Verify(o)
	if !a.Holds(leaf) {
		return false, err
	}
	switch {
	case now.Before(leaf.NotBefore), now.After(leaf.NotAfter):
		return true, x509.CertificateInvalidError{Cert: leaf, Reason: x509.Expired, Detail: "outside its validity"}
	case Named(leaf):
		return true, leaf.VerifyHostname(host)
	default:
		return true, nil
	}
}

// Holds reports whether a certificate is one of the anchors, byte by byte.
func (a *Anchors) Holds(c *x509.Certificate) bool {
	if a == nil {
		return false
	}
	for _, own := range a.own {
		if bytes.Equal(own.Raw, c.Raw) {
			return true
		}
	}
	return false
}

// Named reports whether a certificate names hosts or addresses in a subjectAltName.
func Named(c *x509.Certificate) bool {
	return len(c.DNSNames)+len(c.IPAddresses)+len(c.URIs)+len(c.EmailAddresses) > 0
}

// SelfIssued reports whether a certificate names itself as its issuer.
func SelfIssued(c *x509.Certificate) bool { return bytes.Equal(c.RawSubject, c.RawIssuer) }

// CanSign reports whether a certificate can be the authority of others (RFC 5280, 4.2.1.9): version 1 has nothing that says no.
func CanSign(c *x509.Certificate) bool {
	if c.Version < 3 {
		return true
	}
	return c.BasicConstraintsValid && c.IsCA && (c.KeyUsage == 0 || c.KeyUsage&x509.KeyUsageCertSign != 0)
}

// Check reports why a text is no set of anchors that can be used now, or nil. One of them is enough; Warnings tells the rest.
func Check(text string, now time.Time) error {
	all, err := certificate.Parse(text)
	if err != nil {
		return err
	}
	for _, c := range all {
		if !now.After(c.NotAfter) {
			return nil
		}
	}
	return errors.New(who(0, all[0]) + " expired on " + day(all[0].NotAfter) + more(len(all)-1) + ": upload its successor")
}

func more(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(", and so did the %d others", n)
}

// Warnings returns what an operator should know of anchors, as sentences that continue the name of the field.
func Warnings(text string, now time.Time) []string {
	all, err := certificate.Parse(text)
	if err != nil {
		return []string{err.Error()}
	}
	var out []string
	for i, c := range all {
		switch {
		case now.After(c.NotAfter):
			out = append(out, who(i, c)+" expired on "+day(c.NotAfter))
		case now.Before(c.NotBefore):
			out = append(out, who(i, c)+" is not valid before "+day(c.NotBefore))
		}
		if !CanSign(c) {
			out = append(out, who(i, c)+" is not a CA certificate, so it is pinned: trusted only if the server presents exactly this "+
				"certificate. Upload its successor before the server changes it")
		}
	}
	return out
}

func who(i int, c *x509.Certificate) string {
	name := c.Subject.CommonName
	if name == "" {
		name = c.Subject.String()
	}
	return fmt.Sprintf("certificate %d (%s)", i+1, name)
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }
