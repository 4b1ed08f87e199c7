// Package exit holds the exit codes of commands and the errors that choose one.
package exit

import (
	"errors"
	"fmt"
)

// The exit codes of a command.
const (
	CodeOK       = 0
	CodeFailed   = 1
	CodeUsage    = 2
	CodeNotFound = 3
	CodeConflict = 4
	// CodeDiffers is that of apply --dry-run --exit-code where there is a difference.
	CodeDiffers = 5
	// CodeUndelivered is that of events publish --wait where not every delivery was delivered.
	CodeUndelivered = 6
)

// Code is the exit code of an error: that of its method ExitCode() int, if it has one.
func Code(err error) int {
	if err == nil {
		return CodeOK
	}
	var chosen interface{ ExitCode() int }
	if errors.As(err, &chosen) {
		return chosen.ExitCode()
	}
	return CodeFailed
}

// UsageError is a fault in how a command was called.
type UsageError struct{ err error }

// Error says what is wrong.
func (e *UsageError) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *UsageError) Unwrap() error { return e.err }

// ExitCode is that of wrong usage.
func (e *UsageError) ExitCode() int { return CodeUsage }

// Usagef makes a UsageError.
func Usagef(format string, args ...any) error {
	return &UsageError{err: fmt.Errorf(format, args...)}
}

// notFoundError says that a resource does not exist.
type notFoundError struct{ text string }

func (e *notFoundError) Error() string { return e.text }

// ExitCode is that of a resource that is not found.
func (e *notFoundError) ExitCode() int { return CodeNotFound }

// undeliveredError says that an event was not delivered to everybody that it is for.
type undeliveredError struct{ text string }

func (e *undeliveredError) Error() string { return e.text }

// ExitCode is that of an event that was not delivered.
func (e *undeliveredError) ExitCode() int { return CodeUndelivered }

// Undelivered makes an error with the exit code of an event that was not delivered.
func Undelivered(text string) error { return &undeliveredError{text: text} }

// NotFound makes an error with the exit code of a resource that is not found.
func NotFound(text string) error { return &notFoundError{text: text} }
