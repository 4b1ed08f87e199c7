package egress

import (
	"crypto/x509"
	"errors"
	"net/netip"
	"strings"
)

// remedy says what to do about a failed step.
func (w *probe) remedy(err error) string {
	var dial *DialError
	if !errors.As(err, &dial) {
		return "repeat the walk; if it fails again, look at the sender's log"
	}
	switch dial.Stage {
	case StageLookup:
		return "check the host name in the URL; if it is a name of your own network, have the name servers of the http-sender know it"
	case StageForbidden:
		return forbiddenRemedy(err)
	case StageProxy:
		return "check the http-sender's options proxy.url, proxy.user and proxy.passwordFile, and what the proxy allows; its log says more"
	case StageTLS:
		return w.tlsRemedy(err)
	case StageConnect:
		if dial.Timeout() {
			return "check that the receiver runs at this address and port, and that no firewall between drops the connection"
		}
		return "check that the receiver listens at this address and port, and that a firewall lets the http-sender through"
	default:
		return "repeat the walk; if it fails again, look at the sender's log"
	}
}

func forbiddenRemedy(err error) string {
	var f *ForbiddenError
	if !errors.As(err, &f) || f.Never {
		return "use another URL: no option allows this one"
	}
	return "if this receiver is meant, open its network to the http-sender: --allow-egress " +
		netip.PrefixFrom(f.Addr, f.Addr.BitLen()).String() + " (option allowEgress); else correct the URL"
}

func (w *probe) tlsRemedy(err error) string {
	var invalid x509.CertificateInvalidError
	var name x509.HostnameError
	var authority x509.UnknownAuthorityError
	switch {
	case errors.As(err, &authority) && w.report.RootToPin != "":
		return "compare the root's fingerprint with the one its owner tells you; if it is right, upload it as http.caCertificatePem"
	case errors.As(err, &authority) && len(w.report.Chain) == 1:
		return "have the receiver send its intermediate certificates, or get its root certificate from its owner and upload it as http.caCertificatePem"
	case errors.As(err, &authority):
		return "get the root certificate from the receiver's owner and upload it as http.caCertificatePem"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "have the receiver's certificate renewed; if it is valid, check the clock of the http-sender's host"
	case errors.As(err, &invalid):
		return "have the receiver use a server certificate issued by the root that is trusted here"
	case errors.As(err, &name):
		return "use the host that the certificate is for in the URL, or have a certificate issued for this one"
	case strings.Contains(err.Error(), "does not speak TLS"):
		return "check the port in the URL: what listens there does not speak TLS"
	case strings.Contains(err.Error(), "protocol version"):
		return "have the receiver speak TLS 1.2 or 1.3: older versions are not spoken"
	case strings.Contains(err.Error(), "certificate required"), strings.Contains(err.Error(), "bad certificate"):
		return "the receiver wants a client certificate: set http.auth.clientCertificate, or check the one that is set"
	default:
		return "look at the TLS settings and the log of the receiver"
	}
}
