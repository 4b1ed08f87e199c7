// Package command holds what commands are built of: their environment, flags, arguments, completions and questions.
package command

import (
	"context"
	"fmt"

	"github.com/outbound-events/outbound/services/cli/internal/client"
	"github.com/outbound-events/outbound/services/cli/internal/input"
	"github.com/outbound-events/outbound/services/cli/internal/output"
)

// Env is what commands share: the printer of results, the address of the server and the files they read.
type Env struct {
	*output.Printer
	// Source says where Outbound is.
	Source *client.Source
	// Files reads what commands are given.
	Files *input.Reader
	// InTerminal says whether standard input is a terminal, where somebody can be asked.
	InTerminal bool
	// Version of this release.
	Version string
}

// Follow reads a stream until ctx ends, and notes each time that it breaks.
func (env *Env) Follow(ctx context.Context, c *client.Client, s client.Subscription) error {
	s.Broken = func(err error) { _, _ = fmt.Fprintf(env.Err, "%s; reconnecting\n", output.Clean(err.Error())) }
	return c.Follow(ctx, s)
}
