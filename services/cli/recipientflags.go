package cli

import (
	"strings"

	"github.com/spf13/cobra"
)

// recipientFlags are the fields of a recipient as flags. What is rarer than these is set by a file.
type recipientFlags struct {
	file              string
	headers           []string
	auth              authFlags
	texts             textFlags
	signingFiles      []string
	sign, signEd25519 bool
	disabled          bool
}

func (r *recipientFlags) define(a *app, cmd *cobra.Command, create bool) {
	f := cmd.Flags()
	f.StringVarP(&r.file, "file", "f", "", "YAML or JSON file with the recipient; - reads standard input")
	if create {
		f.String("id", "", "recipient ID, cannot be changed later (default: derived from the name)")
		f.BoolVar(&r.disabled, "disabled", false, "create it disabled")
	}
	for _, x := range recipientFields() {
		defineFlag(cmd, x.flag, x.kind, x.help)
	}
	f.StringArrayVar(&r.headers, "header", nil, "custom request header, as 'Name: value'; may be repeated; replaces all custom headers")
	r.auth.define(cmd)
	r.texts.define(cmd)
	f.BoolVar(&r.sign, "sign", false, "sign requests with a new shared secret, shown only once")
	f.BoolVar(&r.signEd25519, "sign-ed25519", false, "sign requests with a new Ed25519 key and show its public key")
	f.StringArrayVar(&r.signingFiles, "signing-secret-file", nil, "file with a signing secret (whsec_… or whsk_…); may be repeated")
	a.completeFlags(cmd, map[string]completion{
		"event": completeEventTypes, "appliance": completeAppliances, "while-disabled": words("skip", "hold"),
		"format": words("form", "json", "json_binary"), "success": words("http_200", "any_2xx"), "order": words("none", "strict"),
	})
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
	for _, add := range []func(*app, tree) error{r.addHeaders, r.auth.add, r.texts.add, r.addSigning} {
		if err := add(a, t); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func (r *recipientFlags) addHeaders(_ *app, t tree) error {
	if len(r.headers) == 0 {
		return nil
	}
	headers := tree{}
	for _, h := range r.headers {
		name, value, ok := strings.Cut(h, ":")
		if !ok {
			return usage("--header %q is not in the form 'Name: value'", h)
		}
		headers[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	set(t, "http.headers", headers)
	return nil
}

// addSigning reads the secrets that sign.
func (r *recipientFlags) addSigning(a *app, t tree) error {
	var secrets []any
	if r.sign {
		secrets = append(secrets, tree{})
	}
	if r.signEd25519 {
		secrets = append(secrets, tree{"kind": "ED25519"})
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
