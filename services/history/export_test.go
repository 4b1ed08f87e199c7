package history

import (
	"context"

	"github.com/outbound-events/outbound/services/history/internal/index"
)

// Follow keeps what is known of the log until ctx ends.
func (s *Service) Follow(ctx context.Context) { s.follow(ctx, func(uint64) {}) }

// Index is the index of the log.
func (s *Service) Index() *index.Index { return s.index }
