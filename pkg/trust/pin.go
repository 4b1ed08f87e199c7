package trust

import (
	"crypto/x509"
	"errors"
	"time"
)

// ToPin returns the certificate of a chain that was refused with err which would make it trusted if it were an anchor; nil: none, or
// there is a better way. It is the root, if that was sent. It is the server's own certificate where no authority could vouch for it:
// it is self-issued, has no subjectAltName, or is signed with an algorithm that is not accepted.
func ToPin(chain []*x509.Certificate, host string, err error, now time.Time) *x509.Certificate {
	var authority x509.UnknownAuthorityError
	if len(chain) == 0 {
		return nil
	}
	leaf, root := chain[0], chain[len(chain)-1]
	if errors.As(err, &authority) && SelfIssued(root) && CanSign(root) && vouches(root, chain, host, now) {
		return root
	}
	hopeless := SelfIssued(leaf) || !Named(leaf)
	for _, c := range chain {
		hopeless = hopeless || weak(c.SignatureAlgorithm) && !SelfIssued(c)
	}
	if hopeless && vouches(leaf, chain, host, now) {
		return leaf
	}
	return nil
}

// vouches reports whether a chain verifies with one anchor.
func vouches(anchor *x509.Certificate, chain []*x509.Certificate, host string, now time.Time) bool {
	_, err := Of(anchor).Verify(chain, host, now)
	return err == nil
}
