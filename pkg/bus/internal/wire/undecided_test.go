package wire_test

import (
	"context"
	"errors"
	"testing"

	"github.com/outbound-events/outbound/pkg/bus/internal/names"
	"github.com/outbound-events/outbound/pkg/bus/internal/wire"
	"github.com/outbound-events/outbound/pkg/bustest"
)

// A write whose outcome is not known is reported neither as a conflict nor as a key that exists: people would be told that someone else
// has changed what nobody has.
func TestAnUndecidedWriteIsNoConflict(t *testing.T) {
	b, err := bustest.Start(t).Conn().Bucket(t.Context(), names.BucketSettings)
	if err != nil {
		t.Fatal(err)
	}
	for _, lookup := range []error{nil, context.DeadlineExceeded} {
		for _, verb := range []string{"create", "update", "delete"} {
			err := b.Say(verb, "key.1", wire.Undecided(lookup))
			if errors.Is(err, wire.ErrConflict) || errors.Is(err, wire.ErrExists) || !errors.Is(err, wire.ErrUnsettled) || !wire.Temporary(err) {
				t.Errorf("%s: %v", verb, err)
			}
		}
	}
}
