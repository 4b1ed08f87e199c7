package wire_test

import (
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/bus/internal/wire"
)

// A committer that always has messages on their way is no stalled one, as long as they are answered.
func TestABusyBrokerThatAnswersIsNotStalled(t *testing.T) {
	const limit = 3 * time.Second
	for _, c := range []struct {
		name            string
		waits, answered time.Duration
		want            bool
	}{
		{"busy for long, answered just now", time.Minute, 10 * time.Millisecond, false},
		{"busy for long, not answered any more", time.Minute, 4 * time.Second, true},
		{"busy since now, answered long ago", 10 * time.Millisecond, time.Minute, false},
	} {
		if got := wire.Stalled(c.waits, c.answered, limit); got != c.want {
			t.Errorf("%s: stalled %t", c.name, got)
		}
	}
	if ago := wire.LastHeard(time.Second); ago < time.Second || ago > time.Minute {
		t.Errorf("the broker answered a second ago, and counts as heard %s ago", ago)
	}
}
