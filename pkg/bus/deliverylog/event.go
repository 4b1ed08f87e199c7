package deliverylog

import (
	"context"
	"fmt"
	"time"

	"github.com/outbound-events/outbound/pkg/bus/internal/names"
	"github.com/outbound-events/outbound/pkg/bus/internal/wire"
	"github.com/outbound-events/outbound/pkg/event"
)

// EventByKey reads an event back by what its key is made of, and when it was accepted, or ErrNotFound: it is found by the record of its
// acceptance.
func EventByKey(ctx context.Context, c *wire.Conn, appliance, id string) (*event.Event, time.Time, error) {
	log := NewReader(c)
	rec, ok, err := log.Intake(ctx, appliance, id)
	if err != nil {
		return nil, time.Time{}, err
	}
	missing := fmt.Errorf("read event %s: %w", event.Key(appliance, id), wire.ErrNotFound)
	if !ok {
		return nil, time.Time{}, missing
	}
	ms, err := c.Direct(ctx, names.StreamEvents, wire.DirectRequest{Sequence: rec.Sequence})
	if err != nil {
		return nil, time.Time{}, err
	}
	if len(ms) == 0 {
		return nil, time.Time{}, missing
	}
	e, faults := wire.Event(ms[0])
	if len(faults) > 0 {
		return nil, time.Time{}, fmt.Errorf("decode event %s: %w", event.Key(appliance, id), faults)
	}
	if e.Appliance != appliance || e.ID != id {
		return nil, time.Time{}, missing
	}
	return e, wire.StoredTime(ms[0]), nil
}
