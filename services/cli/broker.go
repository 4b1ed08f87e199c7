package cli

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/outbound-events/outbound/pkg/bus/accounts"
	"github.com/outbound-events/outbound/services/cli/internal/command"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
)

// broker makes the commands for an external nats-server.
func broker(env *command.Env) *cobra.Command {
	return command.Group("broker", "Prepare an external nats-server", brokerMake(env))
}

func brokerMake(env *command.Env) *cobra.Command {
	var dir, accountsDir string
	cmd := &cobra.Command{
		Use:   "make",
		Short: "Make the operator, accounts and credentials of an external nats-server",
		Long: "Make writes what an external nats-server in operator mode and Outbound's services need to trust each other.\n" +
			"Appliances are then added, rotated and revoked at once, without a file or a reload:\n\n" +
			"  accounts.conf   for nats-server's configuration, which includes it; it holds no secret\n" +
			"  core.creds      nats.credsFile of every service\n" +
			"  appliances.key  brokerAccounts.keyFile of config and ingest\n" +
			"  operator.key    brokerAccounts.operatorKeyFile of config\n" +
			"  system.creds    brokerAccounts.systemCredsFile of config\n" +
			"  roots/          the identities of operator and accounts: keep them elsewhere, no process reads them\n\n" +
			"It makes each once and refuses a folder that has one of these files. The servers of a cluster share them.",
		Example: "  outbound broker make --dir deploy/secrets/broker\n  outbound broker make --dir broker --accounts-dir /var/lib/nats/accounts",
		Args:    command.Arguments(),
		RunE: func(*cobra.Command, []string) error {
			if dir == "" {
				return exit.Usagef("outbound broker make needs --dir DIR")
			}
			files, err := accounts.Make(dir, accountsDir)
			for _, f := range files {
				fmt.Fprintf(env.Out, "made %s\n", f)
			}
			if err != nil {
				return err
			}
			fmt.Fprintf(env.Out, "keep %s elsewhere: no process reads it\n", filepath.Join(dir, accounts.DirRoots))
			return nil
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "folder of the files; created if it does not exist")
	cmd.Flags().StringVar(&accountsDir, "accounts-dir", "/data/accounts", "folder in which nats-server keeps accounts")
	return cmd
}
