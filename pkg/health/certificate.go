package health

import (
	"crypto/x509"
	"time"
)

// PeerCertificate is the certificate that a receiver or the relay presented for itself, the leaf of its chain.
type PeerCertificate struct {
	// Target is the host that presented it.
	Target  string `json:"target,omitempty"`
	Subject string `json:"subject,omitempty"`
	// From and Until bound its validity.
	From  time.Time `json:"from"`
	Until time.Time `json:"until"`
	// Seen is when it was noted, not when it was last presented: a status is not written for each delivery.
	Seen time.Time `json:"seen"`
}

// CertificateOf describes the certificate that a target presented at a time. Without a subject it is called by its first name (RFC 5280,
// 4.1.2.6).
func CertificateOf(leaf *x509.Certificate, target string, at time.Time) *PeerCertificate {
	subject := leaf.Subject.String()
	if subject == "" && len(leaf.DNSNames) > 0 {
		subject = leaf.DNSNames[0]
	}
	return &PeerCertificate{Target: target, Subject: subject, From: leaf.NotBefore.UTC(), Until: leaf.NotAfter.UTC(), Seen: at}
}

// certificateSettles is how long a noted certificate stands against one of the same target that expires later. Hosts behind one name may
// present several in turn: the soonest is the one to tell of, and alternating ones are not written each time.
const certificateSettles = 10 * time.Minute

// replaces reports whether a certificate is to be noted in place of one.
func (c *PeerCertificate) replaces(old *PeerCertificate) bool {
	switch {
	case old == nil || old.Target != c.Target || c.Until.Before(old.Until):
		return true
	case c.Until.Equal(old.Until) && c.Subject == old.Subject:
		return false
	default:
		return c.Seen.Sub(old.Seen) >= certificateSettles
	}
}

const (
	// certificateWarnsAtMost is how long before the expiry of a certificate that others renew people are told at most.
	certificateWarnsAtMost = 14 * 24 * time.Hour
	// certificateWarnsPart is the part of its validity that is left then: automatic renewal, which most begin with a third left, has failed.
	certificateWarnsPart = 5
)

// WarnBefore is how long before its expiry people are told of a certificate: 14 days, or a fifth of its validity if that is less.
func (c *PeerCertificate) WarnBefore() time.Duration {
	return min(certificateWarnsAtMost, c.Until.Sub(c.From)/certificateWarnsPart)
}
