package recipients

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/outbound-events/outbound/services/cli/internal/command"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
	"github.com/outbound-events/outbound/services/cli/internal/input"
	"github.com/outbound-events/outbound/services/cli/internal/resource"
)

// authFlags say how Outbound signs in to a receiver. Secrets are read from files: every process of the host sees arguments.
type authFlags struct {
	basicUser, passwordFile              string
	bearerFile                           string
	keyHeader, keyFile                   string
	tokenURL, clientID, clientSecretFile string
	scopes, parameters                   []string
	clientCertificateFile, clientKeyFile string
}

func (x *authFlags) define(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&x.basicUser, "basic-user", "", "user name for basic authentication")
	f.StringVar(&x.passwordFile, "password-file", "", "file with the password for basic authentication; - reads standard input")
	f.StringVar(&x.bearerFile, "bearer-token-file", "", "file with a bearer token; - reads standard input")
	f.StringVar(&x.keyHeader, "api-key-header", "", "name of the header that carries an API key")
	f.StringVar(&x.keyFile, "api-key-file", "", "file with the value of --api-key-header; - reads standard input")
	f.StringVar(&x.tokenURL, "oauth2-token-url", "", "token endpoint (OAuth 2.0 client credentials)")
	f.StringVar(&x.clientID, "oauth2-client-id", "", "client ID for --oauth2-token-url")
	f.StringVar(&x.clientSecretFile, "oauth2-client-secret-file", "", "file with the client secret; - reads standard input")
	f.StringSliceVar(&x.scopes, "oauth2-scope", nil, "scope to request; may be repeated")
	f.StringArrayVar(&x.parameters, "oauth2-param", nil,
		"parameter of token requests as name=value, e.g. audience=https://api.example.com; may be repeated")
	f.StringVar(&x.clientCertificateFile, "client-cert-file", "", "file with a TLS client certificate and its chain (PEM)")
	command.NameFields(cmd, map[string]string{
		"http.auth.basic.username": "basic-user", "http.auth.basic.password": "password-file", "http.auth.bearer.token": "bearer-token-file",
		"http.auth.apiKey.header": "api-key-header", "http.auth.apiKey.value": "api-key-file", "http.auth.oauth2.tokenUrl": "oauth2-token-url",
		"http.auth.oauth2.clientId": "oauth2-client-id", "http.auth.oauth2.clientSecret": "oauth2-client-secret-file",
		"http.auth.oauth2.scopes": "oauth2-scope", "http.auth.oauth2.parameters": "oauth2-param",
		"http.auth.clientCertificate.certificatePem": "client-cert-file", "http.auth.clientCertificate.privateKeyPem": "client-key-file",
	})
	f.StringVar(&x.clientKeyFile, "client-key-file", "", "file with the private key of --client-cert-file (PEM); - reads standard input")
}

// way is one way to sign in: flags that go together. The last one names the file with the secret.
type way struct {
	flags, values []string
	make          func(secret string) resource.Tree
}

func (x *authFlags) ways(parameters []any) []way {
	return []way{
		{[]string{"--basic-user", "--password-file"}, []string{x.basicUser, x.passwordFile}, func(secret string) resource.Tree {
			return resource.Tree{"basic": resource.Tree{"username": x.basicUser, "password": secret}}
		}},
		{[]string{"--bearer-token-file"}, []string{x.bearerFile},
			func(secret string) resource.Tree { return resource.Tree{"bearer": resource.Tree{"token": secret}} }},
		{[]string{"--api-key-header", "--api-key-file"}, []string{x.keyHeader, x.keyFile}, func(secret string) resource.Tree {
			return resource.Tree{"apiKey": resource.Tree{"header": x.keyHeader, "value": secret}}
		}},
		{
			[]string{"--oauth2-token-url", "--oauth2-client-id", "--oauth2-client-secret-file"},
			[]string{x.tokenURL, x.clientID, x.clientSecretFile},
			func(secret string) resource.Tree {
				oauth2 := resource.Tree{"tokenUrl": x.tokenURL, "clientId": x.clientID, "clientSecret": secret, "scopes": x.scopes}
				if len(parameters) > 0 {
					oauth2["parameters"] = parameters
				}
				return resource.Tree{"oauth2": oauth2}
			},
		},
		{[]string{"--client-cert-file", "--client-key-file"}, []string{x.clientCertificateFile, x.clientKeyFile},
			func(secret string) resource.Tree {
				return resource.Tree{"clientCertificate": resource.Tree{"privateKeyPem": secret}}
			}},
	}
}

// given reports whether the flags of a way were given; some of them alone are an error.
func (w way) given() (bool, error) {
	n := 0
	for _, v := range w.values {
		if v != "" {
			n++
		}
	}
	if n > 0 && n < len(w.values) {
		return false, exit.Usagef("set %s together", strings.Join(w.flags, " and "))
	}
	return n > 0, nil
}

// add sets the chosen way in the recipient.
func (x *authFlags) add(files *input.Reader, t resource.Tree) error {
	parameters, err := command.NamedPairs("oauth2-param", x.parameters)
	if err != nil {
		return err
	}
	var chosen []way
	for _, w := range x.ways(parameters) {
		given, err := w.given()
		if err != nil {
			return err
		}
		if given {
			chosen = append(chosen, w)
		}
	}
	switch {
	case len(chosen) > 1:
		return exit.Usagef("a recipient has one authentication method: use either %s or %s", chosen[0].flags[0], chosen[1].flags[0])
	case len(chosen) == 0 && len(x.scopes) > 0:
		return exit.Usagef("--oauth2-scope needs --oauth2-token-url")
	case len(chosen) == 0 && len(x.parameters) > 0:
		return exit.Usagef("--oauth2-param needs --oauth2-token-url")
	case len(chosen) == 0:
		return nil
	}
	secret, err := files.ReadSecret(chosen[0].values[len(chosen[0].values)-1])
	if err != nil {
		return err
	}
	auth := chosen[0].make(secret)
	if certificate, ok := auth["clientCertificate"].(resource.Tree); ok {
		chain, err := files.ReadText(x.clientCertificateFile)
		if err != nil {
			return err
		}
		certificate["certificatePem"] = chain
	}
	resource.Set(t, "http.auth", auth)
	return nil
}
