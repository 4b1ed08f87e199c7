package cli

import (
	"strings"

	"github.com/spf13/cobra"
)

// authFlags say how Outbound signs in to a receiver. A secret is read from a file: every process of the host sees the arguments.
type authFlags struct {
	basicUser, passwordFile              string
	bearerFile                           string
	keyHeader, keyFile                   string
	tokenURL, clientID, clientSecretFile string
	scopes                               []string
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
	f.StringVar(&x.clientCertificateFile, "client-cert-file", "", "file with a TLS client certificate and its chain (PEM)")
	f.StringVar(&x.clientKeyFile, "client-key-file", "", "file with the private key of --client-cert-file (PEM); - reads standard input")
}

// way is one way to sign in: flags that go together, the last of which names the file of the secret.
type way struct {
	flags, values []string
	make          func(secret string) tree
}

func (x *authFlags) ways() []way {
	return []way{
		{[]string{"--basic-user", "--password-file"}, []string{x.basicUser, x.passwordFile}, func(secret string) tree {
			return tree{"basic": tree{"username": x.basicUser, "password": secret}}
		}},
		{[]string{"--bearer-token-file"}, []string{x.bearerFile}, func(secret string) tree { return tree{"bearer": tree{"token": secret}} }},
		{[]string{"--api-key-header", "--api-key-file"}, []string{x.keyHeader, x.keyFile}, func(secret string) tree {
			return tree{"apiKey": tree{"header": x.keyHeader, "value": secret}}
		}},
		{
			[]string{"--oauth2-token-url", "--oauth2-client-id", "--oauth2-client-secret-file"},
			[]string{x.tokenURL, x.clientID, x.clientSecretFile},
			func(secret string) tree {
				return tree{"oauth2": tree{"tokenUrl": x.tokenURL, "clientId": x.clientID, "clientSecret": secret, "scopes": x.scopes}}
			},
		},
		{[]string{"--client-cert-file", "--client-key-file"}, []string{x.clientCertificateFile, x.clientKeyFile}, func(secret string) tree {
			return tree{"clientCertificate": tree{"privateKeyPem": secret}}
		}},
	}
}

// given reports whether a way was chosen; half of one is an error.
func (w way) given() (bool, error) {
	n := 0
	for _, v := range w.values {
		if v != "" {
			n++
		}
	}
	if n > 0 && n < len(w.values) {
		return false, usage("set %s together", strings.Join(w.flags, " and "))
	}
	return n > 0, nil
}

// add writes the one way that was chosen into the recipient.
func (x *authFlags) add(a *app, t tree) error {
	var chosen []way
	for _, w := range x.ways() {
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
		return usage("a recipient has one authentication method: use either %s or %s", chosen[0].flags[0], chosen[1].flags[0])
	case len(chosen) == 0 && len(x.scopes) > 0:
		return usage("--oauth2-scope needs --oauth2-token-url")
	case len(chosen) == 0:
		return nil
	}
	secret, err := readSecretFile(chosen[0].values[len(chosen[0].values)-1], a.In)
	if err != nil {
		return err
	}
	auth := chosen[0].make(secret)
	if certificate, ok := auth["clientCertificate"].(tree); ok {
		chain, err := readInput(x.clientCertificateFile, a.In)
		if err != nil {
			return err
		}
		certificate["certificatePem"] = string(chain)
	}
	set(t, "http.auth", auth)
	return nil
}

// textFlags are the texts of single event types, each as TYPE=VALUE.
type textFlags struct{ subjects, bodyFiles, htmlFiles []string }

func (x *textFlags) define(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringArrayVar(&x.subjects, "subject-of", nil, "subject for one event type, as TYPE=TEXT; may be repeated; replaces all templates for single event types")
	f.StringArrayVar(&x.bodyFiles, "body-file-of", nil, "file with the text body for one event type, as TYPE=FILE; may be repeated")
	f.StringArrayVar(&x.htmlFiles, "html-body-file-of", nil, "file with the HTML body for one event type, as TYPE=FILE; may be repeated")
}

func (x *textFlags) add(a *app, t tree) error {
	overrides := tree{}
	for _, of := range []struct {
		flag, field string
		list        []string
		file        bool
	}{
		{"--subject-of", "subject", x.subjects, false}, {"--body-file-of", "body", x.bodyFiles, true}, {"--html-body-file-of", "htmlBody", x.htmlFiles, true},
	} {
		for _, one := range of.list {
			eventType, value, ok := strings.Cut(one, "=")
			if !ok || eventType == "" || value == "" {
				return usage("%s: %q is not in the form TYPE=VALUE", of.flag, one)
			}
			if of.file {
				text, err := readInput(value, a.In)
				if err != nil {
					return err
				}
				value = string(text)
			}
			set(overrides, eventType+"."+of.field, value)
		}
	}
	if len(overrides) > 0 {
		set(t, "email.overrides", overrides)
	}
	return nil
}
