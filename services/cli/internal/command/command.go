package command

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/outbound-events/outbound/services/cli/internal/client"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
)

// Group makes a command that only holds subcommands.
func Group(use, short string, commands ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{
		Use: use, Short: short, Args: NoSuchCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	for _, inner := range commands {
		if inner.Name() == "list" {
			inner.Aliases = append(inner.Aliases, "ls")
		}
	}
	c.AddCommand(commands...)
	return c
}

// NoSuchCommand refuses a subcommand that does not exist and suggests one that is spelled alike.
func NoSuchCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := ""
	var known []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			known = append(known, c.Name())
		}
	}
	if near, ok := nearest(args[0], known); ok {
		hint = fmt.Sprintf(", did you mean %q", near)
	}
	return exit.Usagef("unknown command %q for %q%s: see %q", args[0], cmd.CommandPath(), hint, cmd.CommandPath()+" --help")
}

// Arguments requires exactly the named arguments.
func Arguments(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return exit.Usagef("%s needs %s: see %q", cmd.CommandPath(), names[len(args)], cmd.CommandPath()+" --help")
		case len(args) > len(names):
			return exit.Usagef("%s takes no argument %q", cmd.CommandPath(), args[len(names)])
		default:
			return nil
		}
	}
}

// With wraps a command that calls the server: it connects before the command runs and closes the connections after it.
func (env *Env) With(run func(context.Context, *client.Client, []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		c, err := env.connect()
		if err != nil {
			return err
		}
		defer c.Close()
		return env.suggested(cmd, c, args, nameFlags(cmd, run(cmd.Context(), c, args)))
	}
}
