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

// Confirm asks before something that cannot be undone, on standard error, so that the output stays one document. With --yes it does not
// ask. Without an answer, as without a terminal, it is a usage error; the answer no is an error too, so that a script does not go on.
func (env *Env) Confirm(cmd *cobra.Command, question string) error {
	if yes, err := cmd.Flags().GetBool("yes"); yes || err != nil {
		return err
	}
	if _, err := fmt.Fprint(env.Err, output.Clean(question), " yes or no: "); err != nil {
		return err
	}
	sure, err := env.Answer("there is no terminal to ask at: use --yes to confirm " + cmd.CommandPath())
	if err != nil {
		_, _ = fmt.Fprintln(env.Err)
		return err
	}
	if !sure {
		return fmt.Errorf("not confirmed: nothing is changed")
	}
	return nil
}
