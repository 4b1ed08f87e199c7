package cli

import (
	"fmt"
	"os"

	"golang.org/x/term"
)

// newPassword reads a new password from a file, or asks for it twice at a terminal, where it is not shown. It is never an argument,
// which every program on the host could see.
func (a *app) newPassword(file, what string) (string, error) {
	if file != "" {
		return readSecretFile(file, a.In)
	}
	in, ok := a.In.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) { // #nosec G115 -- a descriptor is small
		return "", usage("no terminal to prompt for the password: use --password-file FILE, or - for standard input")
	}
	first, err := a.ask(in, what+": ")
	if err != nil {
		return "", err
	}
	second, err := a.ask(in, "Again: ")
	if err != nil {
		return "", err
	}
	if first != second {
		return "", usage("the passwords do not match")
	}
	return first, nil
}

func (a *app) ask(in *os.File, prompt string) (string, error) {
	fmt.Fprint(a.Err, prompt)
	typed, err := term.ReadPassword(int(in.Fd())) // #nosec G115 -- a descriptor is small
	fmt.Fprintln(a.Err)
	if err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}
	return string(typed), nil
}
