package command

import (
	"bufio"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/outbound-events/outbound/services/cli/internal/exit"
	"github.com/outbound-events/outbound/services/cli/internal/output"
)

// Agree asks the user a yes-or-no question. Without an answer it fails with the message nobody.
func (env *Env) Agree(question, nobody string) (bool, error) {
	if _, err := fmt.Fprint(env.Out, output.Clean(question), " yes or no: "); err != nil {
		return false, err
	}
	return env.Answer(nobody)
}

// Answer reads yes or no from standard input. Without an answer it fails with the message nobody.
func (env *Env) Answer(nobody string) (bool, error) {
	line, err := bufio.NewReader(env.Files.In).ReadString('\n')
	if err != nil && line == "" {
		return false, exit.Usagef("%s", nobody)
	}
	answer := strings.ToLower(strings.TrimSpace(line))
	return answer == "yes" || answer == "y", nil
}

// YesFlag adds --yes to a command that asks with Confirm.
func YesFlag(cmd *cobra.Command) { cmd.Flags().Bool("yes", false, "do not ask for confirmation") }

// Confirm asks before something that cannot be undone, on standard error, so that the output stays one document. With --yes, and where
// standard input is no terminal, as in scripts, it does not ask. The answer no is an error.
func (env *Env) Confirm(cmd *cobra.Command, question string) error {
	if yes, err := cmd.Flags().GetBool("yes"); yes || err != nil || !env.InTerminal {
		return err
	}
	if _, err := fmt.Fprint(env.Err, output.Clean(question), " yes or no: "); err != nil {
		return err
	}
	sure, err := env.Answer("there was no answer: use --yes to confirm " + cmd.CommandPath())
	if err != nil {
		_, _ = fmt.Fprintln(env.Err)
		return err
	}
	if !sure {
		return fmt.Errorf("not confirmed: nothing is changed")
	}
	return nil
}
