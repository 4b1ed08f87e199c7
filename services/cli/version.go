package cli

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/outbound-events/outbound/services/cli/internal/command"
	"github.com/outbound-events/outbound/services/cli/internal/output"
)

func version(env *command.Env) *cobra.Command {
	c := &cobra.Command{
		Use: "version", Short: "Show the version", Args: command.Arguments(),
		Example: "  outbound version\n  outbound version -o json",
		RunE: func(*cobra.Command, []string) error {
			if err := env.CheckFormat(); err != nil {
				return err
			}
			if !env.Structured() {
				return env.Print(&output.Table{Rows: [][]string{{"outbound version " + env.Version}}})
			}
			raw, err := json.Marshal(map[string]string{"version": env.Version})
			if err != nil {
				return fmt.Errorf("write the version: %w", err)
			}
			return env.ShowJSON(raw)
		},
	}
	env.OutputFlag(c)
	return c
}
