package cli

import (
	"strings"

	"github.com/spf13/cobra"
)

// recipientFlags are the fields of a recipient as flags. What is rarer than these is set by a file.
type recipientFlags struct {
	file           string
	headers        []string
	basicUser      string
	passwordFile   string
	bearerFile     string
	signingFiles   []string
	sign, disabled bool
}

// recipientFields says which flag sets which field.
func recipientFields() []fieldFlag {
	return []fieldFlag{
		{"name", "displayName", flagText, "name people see, unique"},
		{"event", "eventTypes", flagList, "event types to send; may be repeated"},
		{"appliance", "appliances", flagList, "appliances whose events are sent; may be repeated (default: all)"},
		{"while-disabled", "whileDisabled", flagWord, "skip or hold what is accepted while disabled (default skip)"},
		{"filter", "filter", flagText, "CEL expression that events must fulfil; see recipients test-filter"},
		{"url", "http.url", flagText, "where events are posted"},
		{"ca-file", "http.caCertificatePem", flagFile, "file with the root certificates (PEM) of the receiver"},
		{"send-custom-fields", "http.sendCustomFields", flagBool, "send custom fields"},
		{"retry-interval", "http.retryInterval", flagDuration, "pause between two attempts (default 30s)"},
		{"retry-duration", "http.retryDuration", flagDuration, "how long a delivery is tried (default 24h)"},
		{"format", "http.format", flagWord, "form, json or json_binary (default form)"},
		{"body-template-file", "http.bodyTemplate", flagFile, "file with a template of a body of your own"},
		{"body-content-type", "http.bodyContentType", flagText, "content type of a body of your own (default application/json)"},
		{"success", "http.success", flagWord, "http_200 or any_2xx (default http_200)"},
		{"max-in-flight", "http.maxInFlight", flagInt, "requests at once (default 16)"},
		{"order", "http.order", flagWord, "none or strict (default none)"},
		{"timeout", "http.timeout", flagDuration, "how long one request may take (default 15s)"},
		{"contact", "http.contact.addresses", flagList, "email addresses told of failures; may be repeated"},
		{"alert-after", "http.contact.alertAfter", flagDuration, "failing for how long before the first mail (default 5m)"},
		{"resend-every", "http.contact.resendEvery", flagDuration, "how often the mail is repeated (default 4h)"},
		{"to", "email.addresses", flagList, "email addresses of an email recipient; may be repeated"},
		{"require-external-key", "email.requireExternalKey", flagBool, "mail only events of sessions with an external key"},
		{"subject", "email.subject", flagText, "subject of mails, with macros"},
		{"body-file", "email.body", flagFile, "file with the body of mails, with macros"},
	}
}

func (r *recipientFlags) define(cmd *cobra.Command, create bool) {
	f := cmd.Flags()
	f.StringVarP(&r.file, "file", "f", "", "file with the recipient in YAML or JSON; - is standard input")
	if create {
		f.String("id", "", "id, fixed for life (default: made from the name)")
		f.BoolVar(&r.disabled, "disabled", false, "create it disabled")
	}
	for _, x := range recipientFields() {
		defineFlag(cmd, x.flag, x.kind, x.help)
	}
	f.StringArrayVar(&r.headers, "header", nil, "request header, as in 'Name: value'; may be repeated, replaces all")
	f.StringVar(&r.basicUser, "basic-user", "", "user name of basic authentication")
	f.StringVar(&r.passwordFile, "password-file", "", "file with the password of basic authentication; - is standard input")
	f.StringVar(&r.bearerFile, "bearer-token-file", "", "file with a bearer token; - is standard input")
	f.BoolVar(&r.sign, "sign", false, "sign requests with a new secret, which is shown once")
	f.StringArrayVar(&r.signingFiles, "signing-secret-file", nil, "file with a signing secret (whsec_…); may be repeated")
}

// where names the source of the values in errors.
func (r *recipientFlags) where() string {
	if r.file != "" {
		return r.file
	}
	return "flags"
}

// tree joins the file, if there is one, and the flags that were given.
func (r *recipientFlags) tree(a *app, cmd *cobra.Command) (tree, error) {
	t := tree{}
	if r.file != "" {
		var err error
		if t, err = a.readTree(r.file); err != nil {
			return nil, err
		}
	}
	f := cmd.Flags()
	if id := f.Lookup("id"); id != nil && id.Changed {
		set(t, "id", id.Value.String())
	}
	if r.disabled {
		set(t, "enabled", false)
	}
	for _, x := range recipientFields() {
		if !f.Changed(x.flag) {
			continue
		}
		v, err := flagValue(a, cmd, x.flag, x.kind)
		if err != nil {
			return nil, err
		}
		set(t, x.path, v)
	}
	return t, r.addSecrets(a, t)
}

// addSecrets reads what has no place on a command line, where every process of the host sees it.
func (r *recipientFlags) addSecrets(a *app, t tree) error {
	if len(r.headers) > 0 {
		headers := tree{}
		for _, h := range r.headers {
			name, value, ok := strings.Cut(h, ":")
			if !ok {
				return usage("--header %q is not 'Name: value'", h)
			}
			headers[strings.TrimSpace(name)] = strings.TrimSpace(value)
		}
		set(t, "http.headers", headers)
	}
	if (r.basicUser == "") != (r.passwordFile == "") {
		return usage("--basic-user and --password-file go together")
	}
	if r.basicUser != "" {
		password, err := readSecretFile(r.passwordFile, a.In)
		if err != nil {
			return err
		}
		set(t, "http.auth", tree{"basic": tree{"username": r.basicUser, "password": password}})
	}
	if r.bearerFile != "" {
		token, err := readSecretFile(r.bearerFile, a.In)
		if err != nil {
			return err
		}
		set(t, "http.auth", tree{"bearer": tree{"token": token}})
	}
	var secrets []any
	if r.sign {
		secrets = append(secrets, tree{})
	}
	for _, file := range r.signingFiles {
		s, err := readSecretFile(file, a.In)
		if err != nil {
			return err
		}
		secrets = append(secrets, tree{"secret": s})
	}
	if len(secrets) > 0 {
		set(t, "http.signingSecrets", secrets)
	}
	return nil
}
