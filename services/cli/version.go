package cli

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"
)

func (a *app) version() *cobra.Command {
	c := &cobra.Command{
		Use: "version", Short: "Show the version", Args: arguments(),
		Example: "  outbound version\n  outbound version -o json",
		RunE: func(*cobra.Command, []string) error {
			if err := a.checkOutput(); err != nil {
				return err
			}
			if a.output == "table" {
				return a.print(&table{rows: [][]string{{"outbound version " + a.Version}}})
			}
			raw, err := json.Marshal(map[string]string{"version": a.Version})
			if err != nil {
				return fmt.Errorf("write the version: %w", err)
			}
			return a.showJSON(raw)
		},
	}
	a.outputFlag(c)
	return c
}
