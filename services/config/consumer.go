package config

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/configclient"
)

// consumers remembers which revision of each recipient its consumer was made for, so that a reconcile pass asks the broker
// only about what may differ.
type consumers struct {
	mu   sync.Mutex
	made map[string]uint64
}

func newConsumers() *consumers { return &consumers{made: map[string]uint64{}} }

func (c *consumers) has(id string, revision uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.made[id] == revision
}

func (c *consumers) note(id string, revision uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.made[id] = revision
}

// forget makes the next pass look at every consumer.
func (c *consumers) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.made)
}

// ensure makes a recipient's consumer what the recipient says. It reads the recipient again afterwards and starts over if
// that changed, so that of two who do this at once the one who is last leaves the newest state.
func (s *Service) ensure(ctx context.Context, id string) error {
	if s.rehearsing {
		return nil
	}
	for {
		r, err := s.recipient(ctx, id)
		if errors.Is(err, bus.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		decoded, err := configclient.DecodeRecipient(r.StoredRecipient, nil)
		if err != nil {
			return err
		}
		_, err = within(ctx, func(ctx context.Context) (struct{}, error) { return struct{}{}, s.bus.EnsureConsumer(ctx, decoded) })
		if err != nil {
			return err
		}
		again, err := s.recipient(ctx, id)
		switch {
		case errors.Is(err, bus.ErrNotFound):
			// Deleted meanwhile: reconciling takes the consumer away.
			return nil
		case err != nil:
			return fmt.Errorf("check recipient %s again: %w", id, err)
		case again.kv == r.kv:
			s.consumers.note(id, r.kv)
			return nil
		}
	}
}
