package command

import (
	"context"
	"fmt"

	"github.com/outbound-events/outbound/services/cli/internal/client"
	"github.com/outbound-events/outbound/services/cli/internal/input"
	"github.com/outbound-events/outbound/services/cli/internal/output"
)

// app is what commands share: where they print, what they read and whom they call.
type Env struct {
	*output.Printer
	// Source says where Outbound is.
	Source *client.Source
	// Files reads what commands are given.
	Files *input.Reader
	// Version of this release.
	Version string
}

// follow reads a stream until ctx ends, and notes each time that it breaks.
func (env *Env) Follow(ctx context.Context, c *client.Client, s client.Subscription) error {
	s.Broken = func(err error) { _, _ = fmt.Fprintf(env.Err, "%s; asking again\n", output.Clean(err.Error())) }
	return c.Follow(ctx, s)
}
