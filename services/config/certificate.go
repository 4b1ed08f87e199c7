package config

import (
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/outbound-events/outbound/pkg/recipient"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// describeCertificates says for people what the certificates of a PEM text contain; nothing if it can't be read.
func describeCertificates(text string) []*outboundv1.CertificateInfo {
	certificates, err := recipient.ParseCertificates(text)
	if err != nil {
		return nil
	}
	out := make([]*outboundv1.CertificateInfo, 0, len(certificates))
	for _, c := range certificates {
		names := append([]string(nil), c.DNSNames...)
		for _, ip := range c.IPAddresses {
			names = append(names, ip.String())
		}
		out = append(out, &outboundv1.CertificateInfo{
			Subject: c.Subject.String(), Issuer: c.Issuer.String(), FingerprintSha256: fingerprint(c), SerialNumber: c.SerialNumber.Text(16),
			NotBeforeTime: timestamppb.New(c.NotBefore), NotAfterTime: timestamppb.New(c.NotAfter), Names: names,
		})
	}
	return out
}

// fingerprint is written as openssl does: pairs of capital hexadecimal digits, joined by colons.
func fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return strings.ReplaceAll(fmt.Sprintf("% X", sum[:]), " ", ":")
}

// checkClientCertificate notes what keeps a client certificate from being presented. One that was valid when it was stored must
// not keep an operator from changing the rest.
func checkClientCertificate(v *violations, h *outboundv1.HttpRecipient, f checkInput) {
	const field = "http.auth.clientCertificate"
	k, before := h.GetAuth().GetClientCertificate(), f.old.GetRecipient().GetHttp().GetAuth().GetClientCertificate()
	if strings.HasPrefix(strings.ToLower(h.GetUrl()), "http:") {
		v.add(field, reasonInvalid, "needs an https URL: client certificates are part of TLS")
	}
	if k.GetCertificatePem() == before.GetCertificatePem() && before != nil && k.GetPrivateKeyPem() == "" {
		return
	}
	if err := recipient.CheckClientCertificate(k.GetCertificatePem(), f.now); err != nil {
		v.check(field+".certificatePem", err)
		return
	}
	stored := f.old.GetSealedSecrets()[recipient.SecretClientKey] != nil
	switch {
	case k.GetPrivateKeyPem() != "":
		_, err := recipient.ClientCertificate(k.GetCertificatePem(), k.GetPrivateKeyPem())
		v.check(field+".privateKeyPem", err)
	case !stored:
		v.add(field+".privateKeyPem", reasonMissing, "is empty and none is stored: set it")
	case !recipient.SameKey(k.GetCertificatePem(), before.GetCertificatePem()):
		v.add(field+".privateKeyPem", reasonMissing, "is empty, and the stored key does not match the certificate: set the key")
	}
}

// warnedBefore is how long before its end a client certificate is warned of.
const warnedBefore = 30 * 24 * time.Hour

// clientCertificateWarning says that a client certificate has ended or soon will; empty if neither.
func clientCertificateWarning(h *outboundv1.HttpRecipient, now time.Time) string {
	chain, err := recipient.ParseCertificates(h.GetAuth().GetClientCertificate().GetCertificatePem())
	if err != nil {
		return ""
	}
	end := chain[0].NotAfter
	switch day := end.UTC().Format(time.DateOnly); {
	case now.After(end):
		return "http.auth.clientCertificate expired on " + day + ": requests can't be sent."
	case end.Sub(now) < warnedBefore:
		return "http.auth.clientCertificate expires on " + day + "."
	default:
		return ""
	}
}

// checkOAuth2 notes what keeps a token from being asked for.
func checkOAuth2(v *violations, k *outboundv1.OAuth2ClientCredentials, enabled bool, f checkInput) {
	const field = "http.auth.oauth2"
	before := f.old.GetRecipient().GetHttp().GetAuth().GetOauth2()
	if f.old == nil || k.GetTokenUrl() != before.GetTokenUrl() || enabled {
		v.check(field+".tokenUrl", recipient.CheckURL(k.GetTokenUrl(), f.policy))
	}
	if k.GetClientId() == "" {
		v.add(field+".clientId", reasonMissing, "is empty: set the client ID that the token server issued")
	}
	if k.GetClientSecret() == "" && f.old.GetSealedSecrets()[recipient.SecretOAuth2Client] == nil {
		v.add(field+".clientSecret", reasonMissing, "is empty and none is stored: set it")
	}
	for i, scope := range k.GetScopes() {
		if scope == "" || strings.ContainsFunc(scope, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }) {
			v.add(fmt.Sprintf("%s.scopes[%d]", field, i), reasonInvalid, "is not a scope: list each scope separately, without spaces and quotes")
		}
	}
}
