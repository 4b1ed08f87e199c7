package credential

import "strings"

// Where the secrets of a recipient are, as field paths in the spelling of its JSON. A sealed secret is bound to the
// recipient and to its path, so that it opens nowhere else.
const (
	SecretBasicPassword = "http.auth.basic.password"      // #nosec G101 -- a field path, no secret
	SecretBearerToken   = "http.auth.bearer.token"        // #nosec G101 -- a field path, no secret
	SecretAPIKeyValue   = "http.auth.apiKey.value"        // #nosec G101 -- a field path, no secret
	SecretOAuth2Client  = "http.auth.oauth2.clientSecret" // #nosec G101 -- a field path, no secret
	// SecretURL is a URL with a token in it.
	SecretURL       = "http.url"
	SecretClientKey = "http.auth.clientCertificate.privateKeyPem" // #nosec G101 -- a field path, no secret
	// SecretSMTPPassword is not a recipient's: it is bound to its path alone.
	SecretSMTPPassword = "smtp.password" // #nosec G101 -- a field path, no secret
	// SecretRelayClient and SecretRelayRefresh are the relay's too.
	SecretRelayClient  = "smtp.oauth2.clientSecret" // #nosec G101 -- a field path, no secret
	SecretRelayRefresh = "smtp.oauth2.refreshToken" // #nosec G101 -- a field path, no secret
)

// SigningSecretPath is where the signing secret with an id is.
func SigningSecretPath(id string) string { return "http.signingSecrets." + id }

// SecretHeaderPath is where the value of a secret header is.
func SecretHeaderPath(name string) string { return "http.headers." + strings.ToLower(name) }

// SecretBinding is what the secret of a recipient at a path is bound to when it is sealed.
func SecretBinding(id, path string) string { return "recipient/" + id + "/" + path }
