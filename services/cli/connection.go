package cli

import (
	"github.com/spf13/cobra"
)

func (a *app) connectionFlags(c *cobra.Command) {
	f := c.PersistentFlags()
	f.StringVar(&a.url, "url", "", "address of Outbound (default OUTBOUND_URL, else "+defaultURL+")")
	f.StringVar(&a.tokenFile, "token-file", "", "file with the token (default: the value of OUTBOUND_TOKEN)")
	f.StringVar(&a.data, "data", "", "data folder of `outbound run`, whose endpoints.json and admin.token are used")
	a.outputFlag(c)
}

func (a *app) outputFlag(c *cobra.Command) {
	c.PersistentFlags().StringVarP(&a.output, "output", "o", "table", "table, json or yaml")
	_ = c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]cobra.Completion{"table", "json", "yaml"}, cobra.ShellCompDirectiveNoFileComp))
}

func (a *app) checkOutput() error {
	if a.output != "table" && a.output != "json" && a.output != "yaml" {
		return usage("-o is table, json or yaml, not %q", a.output)
	}
	return nil
}
