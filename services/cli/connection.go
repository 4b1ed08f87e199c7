package cli

import (
	"github.com/spf13/cobra"
)

// connectionFlags adds the flags that say where Outbound is and how results are printed.
func (a *app) connectionFlags(c *cobra.Command) {
	f := c.PersistentFlags()
	f.StringVar(&a.Source.URL, "url", "", "address of Outbound (default OUTBOUND_URL, else "+defaultURL+")")
	f.StringVar(&a.Source.TokenFile, "token-file", "", "file with the token (default: the value of OUTBOUND_TOKEN)")
	f.StringVar(&a.Source.Data, "data", "", "data folder of `outbound run`, whose endpoints.json and admin.token are used")
	a.outputFlag(c)
}

// outputFlag adds --output.
func (a *app) outputFlag(c *cobra.Command) {
	c.PersistentFlags().StringVarP(&a.Format, "output", "o", "table", "table, json or yaml")
	_ = c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]cobra.Completion{"table", "json", "yaml"}, cobra.ShellCompDirectiveNoFileComp))
}

// connect returns a client for the server that the flags and the environment name.
func (a *app) connect() (*client, error) {
	if err := a.checkFormat(); err != nil {
		return nil, err
	}
	return a.Source.connect()
}
