package cli

import (
	"fmt"
)

// The exit codes of a command.
const (
	codeOK       = 0
	codeFailed   = 1
	codeUsage    = 2
	codeNotFound = 3
	codeConflict = 4
	// codeDiffers is that of apply --dry-run --exit-code where there is a difference.
	codeDiffers = 5
)

// usageError is a fault in how a command was called.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }

func (e *usageError) Unwrap() error { return e.err }

func (e *usageError) ExitCode() int { return ExitUsage }

func usage(format string, args ...any) error {
	return &usageError{err: fmt.Errorf(format, args...)}
}

// notFoundError has the exit code of what is not found.
type notFoundError struct{ text string }

func (e *notFoundError) Error() string { return e.text }

func (e *notFoundError) ExitCode() int { return ExitNotFound }

func notKept(text string) error { return &notFoundError{text: text} }
