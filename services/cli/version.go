package cli

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"
)

func version(env *app) *cobra.Command {
	c := &cobra.Command{
		Use: "version", Short: "Show which release this is", Args: arguments(),
		Example: "  outbound version\n  outbound version -o json",
		RunE: func(*cobra.Command, []string) error {
			if err := env.checkFormat(); err != nil {
				return err
			}
			if !env.structured() {
				return env.print(&table{rows: [][]string{{"outbound version " + env.Version}}})
			}
			raw, err := json.Marshal(map[string]string{"version": env.Version})
			if err != nil {
				return fmt.Errorf("write the version: %w", err)
			}
			return env.showJSON(raw)
		},
	}
	env.outputFlag(c)
	return c
}
