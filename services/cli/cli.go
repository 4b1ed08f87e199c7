// Package cli is the command line of Outbound. It talks to the REST surface alone, with the messages of the contract.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
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
	ExitOK       = 0
	ExitFailed   = 1
	ExitUsage    = 2
	ExitNotFound = 3
	ExitConflict = 4
	// ExitDiffers is that of apply --dry-run --exit-code where there is a difference.
	ExitDiffers = 5
)

// app is what all commands share.
type app struct {
	Options
	url, tokenFile, data, output string
}

// New makes the command `outbound` with its subcommands, and those in more, e.g. `run`.
func New(o Options, more ...*cobra.Command) *cobra.Command {
	a := &app{Options: o}
	root := &cobra.Command{
		Use:   "outbound",
		Short: "Send appliance events to HTTP and email recipients",
		Long: "Outbound sends appliance events to HTTP and email recipients.\n\n" +
			"All commands except `run` talk to a running Outbound server. Its address and the token come from --url and\n" +
			"--token-file, from --data DIR (the data directory of a local server), or from OUTBOUND_URL and OUTBOUND_TOKEN.\n\n" +
			"Exit codes: 0 success, 1 failure, 2 usage error, 3 not found, 4 conflict, 5 difference found by apply --exit-code.",
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
		a.recipients(), a.apply(), a.export(), a.events(), a.deliveries(), a.status(), a.appliances(), a.simulate(), a.settings(),
		a.customFields(), a.eventTypes(), a.macros(), a.revisions(), a.replays(), a.users(), a.tokens(), a.whoami(),
	} {
		a.connectionFlags(c)
		a.completeTree(c)
		root.AddCommand(c)
	}
	root.AddCommand(a.man(), a.version())
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

func printError(w io.Writer, err error) {
	if err.Error() == "" {
		return
	}
	_, _ = fmt.Fprintln(w, "outbound:", clean(err.Error()))
	var many *faultyError
	if errors.As(err, &many) {
		for _, line := range many.lines {
			_, _ = fmt.Fprintln(w, " ", clean(line))
		}
	}
	var refused *apiError
	if errors.As(err, &refused) && refused.code == codes.InvalidArgument {
		for _, v := range refused.violations {
			_, _ = fmt.Fprintf(w, "  %s: %s\n", clean(v.Field), clean(v.Description))
		}
	}
}

// usageError is a fault in how a command was called.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }
func (e *usageError) ExitCode() int { return ExitUsage }

func usage(format string, args ...any) error {
	return &usageError{err: fmt.Errorf(format, args...)}
}

// ExitCode distinguishes not found and conflict from other failures.
func (e *apiError) ExitCode() int {
	switch e.code {
	case codes.NotFound:
		return ExitNotFound
	case codes.AlreadyExists, codes.Aborted:
		return ExitConflict
	default:
		return ExitFailed
	}
}

// group makes a command that only holds others.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{
		Use: use, Short: short, Args: noSuchCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(commands...)
	return c
}

func noSuchCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := ""
	// The maximum edit distance of suggestions, cobra's default.
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		hint = fmt.Sprintf(", did you mean %q", near[0])
	}
	return usage("unknown command %q for %q%s: see %q", args[0], cmd.CommandPath(), hint, cmd.CommandPath()+" --help")
}

// arguments requires exactly these arguments; the names appear in the message.
func arguments(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return usage("%s needs %s: see %q", cmd.CommandPath(), names[len(args)], cmd.CommandPath()+" --help")
		case len(args) > len(names):
			return usage("%s takes no argument %q", cmd.CommandPath(), args[len(names)])
		default:
			return nil
		}
	}
}
