package cli

import (
	"context"
	"fmt"
)

// app is what commands share: where they print, what they read and whom they call.
type app struct {
	*printer
	// Source says where Outbound is.
	Source *source
	// Files reads what commands are given.
	Files *reader
	// Version of this release.
	Version string
}

// follow reads a stream until ctx ends, and notes each time that it breaks.
func (env *app) follow(ctx context.Context, c *client, s subscription) error {
	s.Broken = func(err error) { _, _ = fmt.Fprintf(env.Err, "%s; asking again\n", clean(err.Error())) }
	return c.follow(ctx, s)
}
