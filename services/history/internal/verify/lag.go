package verify

import (
	"context"
	"time"

	"github.com/outbound-events/outbound/pkg/pause"
)

const (
	// maxTries is how often the end of the log is asked for again: a replica may lag.
	maxTries = 3
	lagPause = 500 * time.Millisecond
)

// lagging waits before the records from a sequence on are asked for again. It reports whether that is of use.
func (r *run) lagging(ctx context.Context, from uint64) bool {
	if from > r.extent.Last {
		return false
	}
	return pause.For(ctx, lagPause)
}
