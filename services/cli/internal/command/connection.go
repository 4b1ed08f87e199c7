package command

import (
	"github.com/spf13/cobra"

	"github.com/outbound-events/outbound/services/cli/internal/client"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
)

// ConnectionFlags adds the flags that say where Outbound is and how results are printed.
func (env *Env) ConnectionFlags(c *cobra.Command) {
	f := c.PersistentFlags()
	f.StringVar(&env.Source.Context, "context", "", "context to use; see outbound context (default: the current one, if no server is named)")
	f.StringVar(&env.Source.URL, "url", "", "address of the Outbound server (default OUTBOUND_URL, else "+client.DefaultURL+")")
	f.StringVar(&env.Source.TokenFile, "token-file", "", "file with the token (default: the value of OUTBOUND_TOKEN)")
	f.StringVar(&env.Source.Data, "data", "", "data directory of a local server (reads endpoints.json and admin.token)")
	f.StringVar(&env.Source.CAFile, "ca-file", "", "file with root certificates (PEM) that verify an https server (default OUTBOUND_CA_FILE)")
	f.StringVar(&env.Source.CAFingerprint, "ca-fingerprint", "",
		"SHA-256 fingerprint of the server's certificate or its authority, sha256:... (default OUTBOUND_CA_FINGERPRINT)")
	env.OutputFlag(c)
}

// OutputFlag adds --output.
func (env *Env) OutputFlag(c *cobra.Command) {
	c.PersistentFlags().StringVarP(&env.Format, "output", "o", "table", "output format: table, json or yaml")
	_ = c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]cobra.Completion{"table", "json", "yaml"},
		cobra.ShellCompDirectiveNoFileComp))
}

// connect returns a client for the server that the flags and the environment name.
func (env *Env) connect() (*client.Client, error) {
	if err := env.CheckFormat(); err != nil {
		return nil, err
	}
	return env.Source.Connect()
}

// connectionFlags are the flags of ConnectionFlags.
func connectionFlags() []string {
	return []string{"context", "url", "token-file", "data", "ca-file", "ca-fingerprint", "output"}
}

// RefuseUnused refuses a flag of a connection at a command that calls no server, where it would have no effect.
func RefuseUnused(cmd *cobra.Command) error {
	for _, name := range connectionFlags() {
		if f := cmd.InheritedFlags().Lookup(name); f != nil && f.Changed {
			return exit.Usagef("%s calls no server: --%s has no effect on it, leave it out", cmd.CommandPath(), name)
		}
	}
	return nil
}
