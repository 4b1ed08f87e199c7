package exit

import (
	"fmt"
)

// The exit codes of a command.
const (
	CodeOK       = 0
	CodeFailed   = 1
	CodeUsage    = 2
	CodeNotFound = 3
	CodeConflict = 4
	// codeDiffers is that of apply --dry-run --exit-code where there is a difference.
	CodeDiffers = 5
)

// usageError is a fault in how a command was called.
type UsageError struct{ err error }

func (e *UsageError) Error() string { return e.err.Error() }

func (e *UsageError) Unwrap() error { return e.err }

func (e *UsageError) ExitCode() int { return CodeUsage }

func Usagef(format string, args ...any) error {
	return &UsageError{err: fmt.Errorf(format, args...)}
}

// notFoundError has the exit code of what is not found.
type notFoundError struct{ text string }

func (e *notFoundError) Error() string { return e.text }

func (e *notFoundError) ExitCode() int { return CodeNotFound }

func NotFound(text string) error { return &notFoundError{text: text} }
