// Package pause waits.
package pause

import (
	"context"
	"time"
)

// For waits for d, or until ctx ends. It reports whether all of d has passed; without anything to wait for, whether ctx goes on.
func For(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
