package cli

import (
	"context"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/outbound-events/outbound/services/cli/internal/access"
	"github.com/outbound-events/outbound/services/cli/internal/audits"
	"github.com/outbound-events/outbound/services/cli/internal/backups"
	"github.com/outbound-events/outbound/services/cli/internal/client"
	"github.com/outbound-events/outbound/services/cli/internal/command"
	"github.com/outbound-events/outbound/services/cli/internal/contexts"
	"github.com/outbound-events/outbound/services/cli/internal/declare"
	"github.com/outbound-events/outbound/services/cli/internal/deliveries"
	"github.com/outbound-events/outbound/services/cli/internal/events"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
	"github.com/outbound-events/outbound/services/cli/internal/input"
	"github.com/outbound-events/outbound/services/cli/internal/keys"
	"github.com/outbound-events/outbound/services/cli/internal/listen"
	"github.com/outbound-events/outbound/services/cli/internal/output"
	"github.com/outbound-events/outbound/services/cli/internal/pull"
	"github.com/outbound-events/outbound/services/cli/internal/recipients"
	"github.com/outbound-events/outbound/services/cli/internal/revisions"
	"github.com/outbound-events/outbound/services/cli/internal/simulate"
	"github.com/outbound-events/outbound/services/cli/internal/verify"
)

// Options is the environment of the commands.
type Options struct {
	// In is standard input, Out standard output.
	In  io.Reader
	Out io.Writer
	// Err gets progress, notes and errors.
	Err io.Writer
	// Terminal says whether Err is a terminal, where progress can be drawn.
	Terminal bool
	// InTerminal says whether In is a terminal, where somebody can be asked.
	InTerminal bool
	// OutTerminal says whether Out is a terminal, where people read: with colours, unless NO_COLOR is set (no-color.org) or TERM is
	// dumb, and with times as how long ago they were.
	OutTerminal bool
	// Getenv looks up an environment variable.
	Getenv func(string) string
	// Version is shown by --version and sent as User-Agent.
	Version string
}

// The exit codes.
const (
	ExitOK       = exit.CodeOK
	ExitFailed   = exit.CodeFailed
	ExitUsage    = exit.CodeUsage
	ExitNotFound = exit.CodeNotFound
	ExitConflict = exit.CodeConflict
	// ExitDiffers is that of apply --dry-run --exit-code where there is a difference.
	ExitDiffers = exit.CodeDiffers
	// ExitUndelivered is that of events publish --wait where not every delivery was delivered.
	ExitUndelivered = exit.CodeUndelivered
)

// New makes the command `outbound` with its subcommands, and those in more, e.g. `run`.
func New(o Options, more ...*cobra.Command) *cobra.Command {
	files := &input.Reader{In: o.In, Getenv: o.Getenv}
	env := &command.Env{
		Printer: &output.Printer{Out: o.Out, Err: o.Err, Terminal: o.Terminal, Relative: o.OutTerminal, Color: o.colored()},
		Source:  &client.Source{Files: files, Version: o.Version},
		Files:   files,
		Version: o.Version,

		InTerminal: o.InTerminal,
	}
	root := &cobra.Command{
		Use:   "outbound",
		Short: "Send appliance events to HTTP and email recipients",
		Long: "Outbound sends appliance events to HTTP and email recipients.\n\n" +
			"`run` starts a server; most other commands call a running one. Its address and the token come from --url and --token-file,\n" +
			"--data DIR (the data directory of a local server), --context, OUTBOUND_URL and OUTBOUND_TOKEN, or the current context.\n\n" +
			"Exit codes: 0 success, 1 failure, 2 usage error, 3 not found, 4 conflict, 5 difference found by apply --exit-code,\n" +
			"6 not delivered (events publish --wait).",
		Example: "  outbound run --data ./data --allow-egress 127.0.0.0/8     start a server that may deliver to this host\n" +
			"  outbound --data ./data listen                             show what is delivered, in a second terminal\n" +
			"  outbound --data ./data events publish --appliance appliance-1 --event support_conference_end --wait",
		Version:       o.Version,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          command.NoSuchCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(o.In)
	root.SetOut(o.Out)
	root.SetErr(o.Err)
	root.SetFlagErrorFunc(command.FlagError)
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		if slices.Contains(callNoServer(), topLevel(cmd)) {
			return command.RefuseUnused(cmd)
		}
		return nil
	}
	env.ConnectionFlags(root)
	root.AddCommand(more...)
	for _, c := range []*cobra.Command{
		recipients.Command(env), recipients.PresetsCommand(env), declare.ApplyCommand(env), declare.ExportCommand(env),
		events.Command(env), deliveries.Command(env), status(env), stats(env), appliances(env), simulate.Command(env), settings(env),
		customFields(env), eventTypes(env), macros(env),
		revisions.Command(env), deliveries.ReplaysCommand(env), access.UsersCommand(env), access.TokensCommand(env), access.WhoamiCommand(env),
		backups.BackupCommand(env), audits.Command(env), verify.Command(env), verify.ProveCommand(env), pull.Command(env),
		keys.Command(env), listen.Command(env), contexts.Command(env),
	} {
		env.CompleteTree(c)
		root.AddCommand(c)
	}
	root.AddCommand(backups.RestoreCommand(env), certificates(env), broker(env), man(env), version(env))
	addExamples(root)
	group(root)
	return root
}

// colored says whether output is coloured.
func (o Options) colored() bool {
	return o.OutTerminal && o.Getenv != nil && o.Getenv("NO_COLOR") == "" && o.Getenv("TERM") != "dumb"
}

// Execute runs the command with the arguments (without the program's name), prints its error, if any, and returns the exit
// code. An error of an added command may choose its own by a method ExitCode() int.
func Execute(ctx context.Context, root *cobra.Command, args []string) int {
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return ExitOK
	}
	output.PrintError(root.ErrOrStderr(), err)
	return exit.Code(err)
}
