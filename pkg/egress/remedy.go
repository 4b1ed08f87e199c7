package egress

import (
	"bytes"
	"crypto/x509"
	"errors"
	"net/netip"
	"strings"

	"github.com/outbound-events/outbound/pkg/certificate"
)

// remedy says what to do about a failed step.
func (w *probe) remedy(err error) string {
	var dial *DialError
	if !errors.As(err, &dial) {
		return "run diagnostics again; if this step still fails, check the sender's log"
	}
	switch dial.Stage {
	case StageLookup:
		return "check the host name in the URL; for an internal name, check the name servers of the http-sender"
	case StageForbidden:
		return forbiddenRemedy(err)
	case StageProxy:
		return "check the http-sender's options proxy.url, proxy.user and proxy.passwordFile, what the proxy allows, and its log"
	case StageTLS:
		return w.tlsRemedy(err)
	case StageConnect:
		if dial.Timeout() {
			return "check that the receiver runs at this address and port, and that no firewall drops the connection"
		}
		return "check that the receiver listens at this address and port, and that firewalls allow connections from the http-sender"
	default:
		return "run diagnostics again; if this step still fails, check the sender's log"
	}
}

func forbiddenRemedy(err error) string {
	var f *ForbiddenError
	if !errors.As(err, &f) || f.Never {
		return "use another URL: this one can't be allowed"
	}
	return "to allow this receiver, start with --allow-egress " +
		netip.PrefixFrom(f.Addr, f.Addr.BitLen()).String() + " (option allowEgress); otherwise correct the URL"
}

func (w *probe) tlsRemedy(err error) string {
	var invalid x509.CertificateInvalidError
	var name x509.HostnameError
	var authority x509.UnknownAuthorityError
	switch {
	case w.report.RootToPin != "" && w.pinsLeaf():
		return "issue the certificate again as it should be; until then, verify its fingerprint with its owner, then upload exactly this " +
			"certificate as http.caCertificatePem"
	case errors.As(err, &authority) && w.report.RootToPin != "":
		return "verify the fingerprint of the root certificate with its owner, then upload it as http.caCertificatePem"
	case errors.As(err, &authority) && len(w.report.Chain) == 1:
		return "configure the receiver to send its intermediate certificates, or get its root certificate from its owner and upload it as " +
			"http.caCertificatePem"
	case errors.As(err, &authority):
		return "get the root certificate from the receiver's owner and upload it as http.caCertificatePem"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "renew the receiver's certificate; if it is valid, check the clock of the http-sender's host"
	case errors.As(err, &invalid):
		return "configure the receiver with a server certificate from the trusted root"
	case errors.As(err, &name):
		return "use the host name of the certificate in the URL, or issue a certificate for this host name"
	case strings.Contains(err.Error(), "http.smallClientHello"), strings.Contains(err.Error(), "http.legacyTls"):
		return "update the receiver; if that can't be done, set the named option of the recipient"
	case strings.Contains(err.Error(), "negative serial number"), strings.Contains(err.Error(), "RSA key of"):
		return "issue the receiver's certificate again"
	case strings.Contains(err.Error(), "does not speak TLS"):
		return "check the port in the URL: it does not serve TLS"
	case strings.Contains(err.Error(), "protocol version"):
		return "enable TLS 1.2 or 1.3 at the receiver: older versions are not supported"
	case strings.Contains(err.Error(), "certificate required"), strings.Contains(err.Error(), "bad certificate"),
		strings.Contains(err.Error(), "asked for a client certificate"):
		return "the receiver requires a client certificate: set http.auth.clientCertificate, or check the one that is set"
	default:
		return "check the TLS settings and the log of the receiver"
	}
}

// pinsLeaf reports whether the certificate to pin is the receiver's own.
func (w *probe) pinsLeaf() bool {
	all, err := certificate.Parse(w.report.RootToPin)
	return err == nil && len(w.report.Chain) > 0 && bytes.Equal(all[0].Raw, w.report.Chain[0]) && !all[0].IsCA
}
