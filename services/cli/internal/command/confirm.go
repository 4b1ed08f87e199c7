package command

import (
	"bufio"
	"fmt"
	"strings"

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
