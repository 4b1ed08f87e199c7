// Package cli is the command line of Outbound. It talks to the REST surface alone, with the messages of the contract.
package cli

import (
	"context"
	"errors"
	"io"

	"github.com/spf13/cobra"
)

// Options is what the commands see of the world around them.
type Options struct {
	// In is standard input, Out standard output.
	In  io.Reader
	Out io.Writer
	// Err gets progress, notes and errors.
	Err io.Writer
	// Terminal says whether Err is a terminal, where progress can be drawn.
	Terminal bool
	// Getenv looks up an environment variable.
	Getenv func(string) string
	// Version is shown by --version and sent as User-Agent.
	Version string
}

// The exit codes.
const (
	ExitOK       = codeOK
	ExitFailed   = codeFailed
	ExitUsage    = codeUsage
	ExitNotFound = codeNotFound
	ExitConflict = codeConflict
	// ExitDiffers is that of apply --dry-run --exit-code where there is a difference.
	ExitDiffers = codeDiffers
)

// New makes the command `outbound` with its subcommands, and those in more, e.g. `run`.
func New(o Options, more ...*cobra.Command) *cobra.Command {
	files := &reader{In: o.In, Getenv: o.Getenv}
	env := &app{
		printer: &printer{Out: o.Out, Err: o.Err, Terminal: o.Terminal},
		Source:  &source{Files: files, Version: o.Version},
		Files:   files,
		Version: o.Version,
	}
	root := &cobra.Command{
		Use:   "outbound",
		Short: "Sends the events of appliances to HTTP and email recipients",
		Long: "Outbound sends the events of appliances to HTTP and email recipients.\n\n" +
			"Commands other than `run` talk to a running Outbound. Where it is and who you are comes from --url and\n" +
			"--token-file, from --data DIR (the folder given to `outbound run`), or from OUTBOUND_URL and OUTBOUND_TOKEN.\n\n" +
			"Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 conflict, 5 apply --exit-code found a difference.",
		Version:       o.Version,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          noSuchCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(o.In)
	root.SetOut(o.Out)
	root.SetErr(o.Err)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usage("%w", err) })
	root.AddCommand(more...)
	for _, c := range []*cobra.Command{
		recipients(env), apply(env), export(env), events(env), deliveries(env), status(env), appliances(env), simulate(env), settings(env),
		customFields(env), eventTypes(env), macros(env), revisions(env), replays(env), users(env), tokens(env), whoami(env),
	} {
		env.connectionFlags(c)
		env.completeTree(c)
		root.AddCommand(c)
	}
	root.AddCommand(man(env), version(env))
	addExamples(root)
	return root
}

// Execute runs the command with the arguments (without the program's name), prints its error, if any, and returns the exit
// code. An error of an added command may choose its own by a method ExitCode() int.
func Execute(ctx context.Context, root *cobra.Command, args []string) int {
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return ExitOK
	}
	printError(root.ErrOrStderr(), err)
	return exitCode(err)
}

func exitCode(err error) int {
	var chosen interface{ ExitCode() int }
	if errors.As(err, &chosen) {
		return chosen.ExitCode()
	}
	return ExitFailed
}
