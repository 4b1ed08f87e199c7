package recipients

import (
	"strings"
	"time"

	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/recipient/credential"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/config/internal/validation"
)

// checkClientCertificate adds what is wrong with a client certificate. One that was valid when it was stored is not checked again, so
// that operators can change the rest.
func checkClientCertificate(v *validation.Violations, h *outboundv1.HttpRecipient, f checkInput) {
	const field = "http.auth.clientCertificate"
	k, before := h.GetAuth().GetClientCertificate(), f.old.GetRecipient().GetHttp().GetAuth().GetClientCertificate()
	if strings.HasPrefix(strings.ToLower(h.GetUrl()), "http:") {
		v.Add(field, validation.Invalid, "needs an https URL: client certificates are part of TLS")
	}
	if k.GetCertificatePem() == before.GetCertificatePem() && before != nil && k.GetPrivateKeyPem() == "" {
		return
	}
	if err := credential.CheckClientCertificate(k.GetCertificatePem(), f.now); err != nil {
		v.Check(field+".certificatePem", err)
		return
	}
	stored := f.old.GetSealedSecrets()[credential.SecretClientKey] != nil
	switch {
	case k.GetPrivateKeyPem() != "":
		_, err := credential.ClientCertificate(k.GetCertificatePem(), k.GetPrivateKeyPem())
		v.Check(field+".privateKeyPem", err)
	case !stored:
		v.Add(field+".privateKeyPem", validation.Missing, "is empty and none is stored: set it")
	case !credential.SameKey(k.GetCertificatePem(), before.GetCertificatePem()):
		v.Add(field+".privateKeyPem", validation.Missing, "is empty, and the stored key does not match the certificate: set the key")
	}
}

// warnBefore is how long before a client certificate expires a warning is returned.
const warnBefore = 30 * 24 * time.Hour

// clientCertificateWarning returns a warning if a client certificate has expired or expires soon.
func clientCertificateWarning(h *outboundv1.HttpRecipient, now time.Time) string {
	chain, err := credential.ParseCertificates(h.GetAuth().GetClientCertificate().GetCertificatePem())
	if err != nil {
		return ""
	}
	end := chain[0].NotAfter
	switch day := end.UTC().Format(time.DateOnly); {
	case now.After(end):
		return "http.auth.clientCertificate expired on " + day + ": requests can't be sent."
	case end.Sub(now) < warnBefore:
		return "http.auth.clientCertificate expires on " + day + "."
	default:
		return ""
	}
}

// checkOAuth2 adds what is wrong with OAuth 2.0 client credentials.
func checkOAuth2(v *validation.Violations, k *outboundv1.OAuth2ClientCredentials, enabled bool, f checkInput) {
	const field = "http.auth.oauth2"
	before := f.old.GetRecipient().GetHttp().GetAuth().GetOauth2()
	if f.old == nil || k.GetTokenUrl() != before.GetTokenUrl() || enabled {
		v.Check(field+".tokenUrl", recipient.CheckURL(k.GetTokenUrl(), f.policy))
	}
	if k.GetClientId() == "" {
		v.Add(field+".clientId", validation.Missing, "is empty: set the client ID that the token server issued")
	}
	if k.GetClientSecret() == "" && f.old.GetSealedSecrets()[credential.SecretOAuth2Client] == nil {
		v.Add(field+".clientSecret", validation.Missing, "is empty and none is stored: set it")
	}
	v.TokenRequest(field, k.GetScopes(), k.GetParameters())
}
