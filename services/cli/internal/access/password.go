package access

import (
	"fmt"
	"os"

	"golang.org/x/term"

	"github.com/outbound-events/outbound/services/cli/internal/command"
	"github.com/outbound-events/outbound/services/cli/internal/exit"
)

// newPassword reads a new password from a file, or asks for it twice at a terminal without echo. It is never an argument: every process
// of the host sees arguments.
func newPassword(env *command.Env, file, what string) (string, error) {
	if file != "" {
		return env.Files.ReadSecret(file)
	}
	in, ok := env.Files.In.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) { // #nosec G115 -- a descriptor is small
		return "", exit.Usagef("no terminal to prompt for the password: use --password-file FILE, or - for standard input")
	}
	first, err := ask(env, in, what+": ")
	if err != nil {
		return "", err
	}
	second, err := ask(env, in, "Again: ")
	if err != nil {
		return "", err
	}
	if first != second {
		return "", exit.Usagef("the passwords do not match")
	}
	return first, nil
}

func ask(env *command.Env, in *os.File, prompt string) (string, error) {
	fmt.Fprint(env.Err, prompt)
	typed, err := term.ReadPassword(int(in.Fd())) // #nosec G115 -- a descriptor is small
	fmt.Fprintln(env.Err)
	if err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}
	return string(typed), nil
}
