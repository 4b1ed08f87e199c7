package cli

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/outbound-events/outbound/services/cli/internal/command"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
)

// man writes manual pages.
func man(env *command.Env) *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "man --dir DIR",
		Short: "Generate manual pages",
		Long: "Man writes one manual page (section 1) for each command into a directory, which is created if it does not exist.\n" +
			"The pages have the text of --help. SOURCE_DATE_EPOCH, if set, is their date.",
		Example: "  outbound man --dir man/man1\n  MANPATH=$PWD/man man outbound-apply",
		Args:    command.Arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if dir == "" {
				return exit.Usagef("man needs --dir DIR")
			}
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return exit.Usagef("%w", err)
			}
			root := cmd.Root()
			root.DisableAutoGenTag = true
			header := &doc.GenManHeader{Title: "OUTBOUND", Section: "1", Source: "Outbound " + env.Version, Manual: "Outbound Manual"}
			if err := doc.GenManTree(root, header, dir); err != nil {
				return fmt.Errorf("write the manual pages: %w", err)
			}
			_, err := fmt.Fprintf(env.Out, "wrote manual pages to %s\n", dir)
			return err
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "directory to write to")
	return cmd
}
