package trust

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
)

// Peer is whom TLS was spoken with, in the words of its settings.
type Peer struct {
	// Host is the name that was asked for.
	Host string
	// Name is what the peer is to its operator: receiver, relay.
	Name string
	// CAField is the setting that holds anchors, LegacyField and SmallField those of Compat.
	CAField, LegacyField, SmallField string
}

// Explain says why a certificate was not accepted or a handshake failed, and what to do; empty for what has no more to tell than the
// error itself.
func (p Peer) Explain(err error) string {
	var refused *tls.CertificateVerificationError
	var chain []*x509.Certificate
	if errors.As(err, &refused) {
		chain = refused.UnverifiedCertificates
	}
	var name x509.HostnameError
	var authority x509.UnknownAuthorityError
	switch {
	case errors.As(err, &name):
		return p.explainName(name)
	case errors.As(err, &authority):
		return p.explainAuthority(authority, chain)
	default:
		return p.explainHandshake(err)
	}
}

func (p Peer) explainName(err x509.HostnameError) string {
	c := err.Certificate
	if c == nil || Named(c) {
		return fmt.Sprintf("the certificate is not for %s but for %s", p.Host, names(c))
	}
	common := ""
	if c.Subject.CommonName != "" {
		common = fmt.Sprintf(", only the common name %q, which does not count (RFC 9525)", c.Subject.CommonName)
	}
	return fmt.Sprintf("the certificate is not for %s but for no name at all: it has no subjectAltName%s: issue it again with one, or set %s "+
		"to exactly this certificate", p.Host, common, p.CAField)
}

// names are what a certificate is for, at most five.
func names(c *x509.Certificate) string {
	if c == nil {
		return "another"
	}
	all := append([]string{}, c.DNSNames...)
	for _, ip := range c.IPAddresses {
		all = append(all, ip.String())
	}
	if len(all) == 0 {
		return "no host"
	}
	if len(all) > 5 {
		all = append(all[:5], "…")
	}
	return strings.Join(all, ", ")
}

func (p Peer) explainAuthority(err x509.UnknownAuthorityError, chain []*x509.Certificate) string {
	for _, c := range chain {
		if weak(c.SignatureAlgorithm) && !SelfIssued(c) {
			return fmt.Sprintf("the certificate %q is signed with %s, which is not secure and not accepted: issue it again with SHA-256, or set "+
				"%s to exactly the certificate that the %s presents", c.Subject.CommonName, c.SignatureAlgorithm, p.CAField, p.Name)
		}
	}
	issuer, self := "", len(chain) == 1 && SelfIssued(chain[0])
	if err.Cert != nil && err.Cert.Issuer.CommonName != "" {
		issuer = fmt.Sprintf(" (%q)", err.Cert.Issuer.CommonName)
	}
	if self {
		return "the certificate is self-signed, so it is signed by an unknown authority" + issuer + ": set " + p.CAField +
			" to this certificate"
	}
	words := "the certificate is signed by an unknown authority" + issuer + ": set " + p.CAField + " to its root certificate"
	if len(chain) == 1 {
		words += "; the " + p.Name + " sent no intermediate certificate: if that authority is an intermediate one, configure the " + p.Name +
			" to send its certificate"
	}
	return words
}

// weak reports whether signatures of an algorithm are not accepted.
func weak(a x509.SignatureAlgorithm) bool {
	switch a {
	case x509.SHA1WithRSA, x509.ECDSAWithSHA1, x509.DSAWithSHA1, x509.MD5WithRSA, x509.MD2WithRSA:
		return true
	default:
		return false
	}
}

// explainHandshake explains what crypto/tls tells by text alone.
func (p Peer) explainHandshake(err error) string {
	text := err.Error()
	has := func(s string) bool { return strings.Contains(text, s) }
	switch {
	case has("negative serial number"):
		return "the certificate has a negative serial number, which RFC 5280 (4.1.2.2) forbids: issue it again, or start this process with the " +
			"environment variable GODEBUG=x509negativeserial=1"
	case has("insecure (see https://go.dev/pkg/crypto/rsa"):
		return "the certificate has an RSA key of less than 1024 bits, which is not secure: issue it again with 2048 bits or more"
	case has("RSA key larger than"):
		return "the certificate has an RSA key of more than 8192 bits, which is not accepted: issue it again with a smaller one"
	case has("failed to parse certificate from server"):
		return "the certificate can't be read (" + after(text, "failed to parse certificate from server: ") + "): issue it again"
	case has("selected unsupported signature algorithm"), has("unsupported signature algorithm"), has("using invalid signature algorithm"):
		return "the handshake is signed with an algorithm that is not accepted, such as SHA-1: update the TLS library of the " + p.Name
	case has("remote error: tls: handshake failure"), has("remote error: tls: insufficient security level"):
		return "the " + p.Name + " accepts none of the offered cipher suites (handshake failure): enable ECDHE with AES-GCM there; a " + p.Name +
			" that has RSA key exchange or CBC alone needs " + p.LegacyField
	case has("protocol version"):
		return "the " + p.Name + " speaks no protocol version from TLS 1.2 on: enable TLS 1.2 or 1.3 there"
	case has("remote error: tls: unrecognized name"):
		return "the " + p.Name + " does not serve the host name " + p.Host + " (unrecognized name): use a name that it is configured for"
	case has("remote error: tls: error decoding message"), has("remote error: tls: illegal parameter"):
		return "the " + p.Name + " does not understand the ClientHello (" + after(text, "remote error: tls: ") + "): if it takes no " +
			"post-quantum key exchange, set " + p.SmallField
	case has("no renegotiation"), has("requested renegotiation"):
		return "the " + p.Name + " asks for a renegotiation of TLS for the second time on one connection, which is not supported"
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), has("broken pipe"):
		return "the " + p.Name + " closed the connection during the handshake"
	default:
		return ""
	}
}

func after(text, prefix string) string {
	_, rest, ok := strings.Cut(text, prefix)
	if !ok {
		return text
	}
	return rest
}
