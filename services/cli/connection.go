package cli

import (
	"github.com/spf13/cobra"
)

// connectionFlags adds the flags that say where Outbound is and how results are printed.
func (env *app) connectionFlags(c *cobra.Command) {
	f := c.PersistentFlags()
	f.StringVar(&env.Source.URL, "url", "", "address of Outbound (default OUTBOUND_URL, else "+defaultURL+")")
	f.StringVar(&env.Source.TokenFile, "token-file", "", "file with the token (default: the value of OUTBOUND_TOKEN)")
	f.StringVar(&env.Source.Data, "data", "", "data folder of `outbound run`, whose endpoints.json and admin.token are used")
	env.outputFlag(c)
}

// outputFlag adds --output.
func (env *app) outputFlag(c *cobra.Command) {
	c.PersistentFlags().StringVarP(&env.Format, "output", "o", "table", "table, json or yaml")
	_ = c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]cobra.Completion{"table", "json", "yaml"}, cobra.ShellCompDirectiveNoFileComp))
}

// connect returns a client for the server that the flags and the environment name.
func (env *app) connect() (*client, error) {
	if err := env.checkFormat(); err != nil {
		return nil, err
	}
	return env.Source.connect()
}
