package recipients

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/outbound-events/outbound/services/cli/internal/command"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
	"github.com/outbound-events/outbound/services/cli/internal/input"
	"github.com/outbound-events/outbound/services/cli/internal/resource"
)

// recipientFlags are the fields of a recipient as flags. Rare fields are set by a file.
type recipientFlags struct {
	file              string
	headers, windows  []string
	auth              authFlags
	texts             textFlags
	preset            presetFlags
	signingFiles      []string
	sign, signEd25519 bool
	disabled          bool
	// replaceSecrets lets an update drop signing secrets.
	replaceSecrets bool
}

func (r *recipientFlags) define(env *command.Env, cmd *cobra.Command, create bool) {
	f := cmd.Flags()
	f.StringVarP(&r.file, "file", "f", "", "YAML or JSON file with the recipient; - reads standard input")
	if create {
		f.String("id", "", "recipient ID, cannot be changed later (default: derived from the name)")
		f.BoolVar(&r.disabled, "disabled", false, "create it disabled")
		r.preset.define(env, cmd)
	}
	command.DefineFields(cmd, recipientFields())
	f.StringArrayVar(&r.headers, "header", nil, "custom request header, as 'Name: value'; may be repeated; replaces all custom headers")
	f.StringArrayVar(&r.windows, windowFlag, nil, windowHelp)
	r.auth.define(cmd)
	r.texts.define(cmd)
	f.BoolVar(&r.sign, "sign", false, "sign requests with a new shared secret, shown only once")
	f.BoolVar(&r.signEd25519, "sign-ed25519", false, "sign requests with a new Ed25519 key and show its public key")
	f.StringArrayVar(&r.signingFiles, "signing-secret-file", nil, "file with a signing secret (whsec_… or whsk_…); may be repeated")
	command.NameFields(cmd, map[string]string{"id": "id", "maintenanceWindows": windowFlag, "http.headers": "header",
		"http.signingSecrets": "signing-secret-file"})
	if !create {
		f.BoolVar(&r.replaceSecrets, "replace-secrets", false, "drop the signing secrets that are not named again; see rotate-secret")
	}
	env.CompleteFlags(cmd, map[string]command.Completion{
		"event": command.CompleteEventTypes, "appliance": command.CompleteAppliances, "while-disabled": command.Words("skip", "hold"),
		"format": command.Words("form", "json", "json_binary"), "success": command.Words("http_200", "any_2xx"),
		"order": command.Words("none", "strict"),
	})
}

// where names the source of the values, for errors.
func (r *recipientFlags) where() string {
	if r.file != "" {
		return r.file
	}
	return "flags"
}

// tree joins the file, if one is named, and the flags that were given.
func (r *recipientFlags) tree(files *input.Reader, cmd *cobra.Command) (resource.Tree, error) {
	t := resource.Tree{}
	if r.file != "" {
		var err error
		if t, err = files.Document(r.file); err != nil {
			return nil, err
		}
	}
	if err := r.preset.add(files, t); err != nil {
		return nil, err
	}
	f := cmd.Flags()
	if id := f.Lookup("id"); id != nil && id.Changed {
		resource.Set(t, "id", id.Value.String())
	}
	if r.disabled {
		resource.Set(t, "enabled", false)
	}
	if err := command.SetFields(t, files, cmd, recipientFields()); err != nil {
		return nil, err
	}
	for _, add := range []func(*input.Reader, resource.Tree) error{r.addHeaders, r.addWindows, r.auth.add, r.texts.add, r.addSigning} {
		if err := add(files, t); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func (r *recipientFlags) addHeaders(_ *input.Reader, t resource.Tree) error {
	if len(r.headers) == 0 {
		return nil
	}
	headers := resource.Tree{}
	for _, h := range r.headers {
		name, value, ok := strings.Cut(h, ":")
		if !ok {
			return exit.Usagef("--header %q is not in the form 'Name: value'", h)
		}
		headers[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	resource.Set(t, "http.headers", headers)
	return nil
}

// addSigning adds the signing secrets.
func (r *recipientFlags) addSigning(files *input.Reader, t resource.Tree) error {
	var secrets []any
	if r.sign {
		secrets = append(secrets, resource.Tree{})
	}
	if r.signEd25519 {
		secrets = append(secrets, resource.Tree{"kind": "ED25519"})
	}
	for _, file := range r.signingFiles {
		s, err := files.ReadSecret(file)
		if err != nil {
			return err
		}
		secrets = append(secrets, resource.Tree{"secret": s})
	}
	if len(secrets) > 0 {
		resource.Set(t, "http.signingSecrets", secrets)
	}
	return nil
}
