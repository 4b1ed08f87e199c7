package recipients

import (
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/console/internal/web"
)

// authKind is the field for the authentication method.
const authKind = "http.auth.kind"

// The authentication methods, named like their API fields.
const (
	authBasic, authBearer, authAPIKey = "basic", "bearer", "apiKey"
	authOAuth2, authCertificate       = "oauth2", "clientCertificate"
)

// authPaths returns the fields of a method, secrets included.
func authPaths(kind string) []string {
	switch kind {
	case authBasic:
		return []string{"http.auth.basic.username", "http.auth.basic.password"}
	case authBearer:
		return []string{"http.auth.bearer.token"}
	case authAPIKey:
		return []string{"http.auth.apiKey.header", "http.auth.apiKey.value"}
	case authOAuth2:
		return []string{"http.auth.oauth2.tokenUrl", "http.auth.oauth2.clientId", "http.auth.oauth2.clientSecret", "http.auth.oauth2.scopes",
			"http.auth.oauth2.parameters"}
	case authCertificate:
		return []string{"http.auth.clientCertificate.certificatePem", "http.auth.clientCertificate.privateKeyPem"}
	default:
		return nil
	}
}

// kindOf returns the method of a recipient; empty for none.
func kindOf(a *outboundv1.HttpAuth) string {
	switch a.GetKind().(type) {
	case *outboundv1.HttpAuth_Basic:
		return authBasic
	case *outboundv1.HttpAuth_Bearer:
		return authBearer
	case *outboundv1.HttpAuth_ApiKey:
		return authAPIKey
	case *outboundv1.HttpAuth_Oauth2:
		return authOAuth2
	case *outboundv1.HttpAuth_ClientCertificate:
		return authCertificate
	default:
		return ""
	}
}

// authOf returns an empty authentication of a method; nil for none.
func authOf(kind string) *outboundv1.HttpAuth {
	switch kind {
	case authBasic:
		return &outboundv1.HttpAuth{Kind: &outboundv1.HttpAuth_Basic{Basic: &outboundv1.BasicAuth{}}}
	case authBearer:
		return &outboundv1.HttpAuth{Kind: &outboundv1.HttpAuth_Bearer{Bearer: &outboundv1.BearerAuth{}}}
	case authAPIKey:
		return &outboundv1.HttpAuth{Kind: &outboundv1.HttpAuth_ApiKey{ApiKey: &outboundv1.ApiKeyAuth{}}}
	case authOAuth2:
		return &outboundv1.HttpAuth{Kind: &outboundv1.HttpAuth_Oauth2{Oauth2: &outboundv1.OAuth2ClientCredentials{}}}
	case authCertificate:
		return &outboundv1.HttpAuth{Kind: &outboundv1.HttpAuth_ClientCertificate{ClientCertificate: &outboundv1.ClientCertificate{}}}
	default:
		return nil
	}
}

func showAuth(form *web.Form, r *outboundv1.Recipient) error {
	kind := kindOf(r.GetHttp().GetAuth())
	form.Set(authKind, kind)
	return form.Show(r, authPaths(kind)...)
}

// readAuth reads the fields of the selected method. An empty secret keeps the stored one.
func readAuth(form *web.Form, r *outboundv1.Recipient) error {
	kind, h := form.Get(authKind), r.GetHttp()
	h.Auth = authOf(kind)
	if err := form.Read(r, authPaths(kind)...); err != nil {
		return err
	}
	// A password may begin or end with spaces.
	if b := h.GetAuth().GetBasic(); b != nil {
		b.Password = form.Raw("http.auth.basic.password")
	}
	return nil
}
