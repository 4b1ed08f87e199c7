package storecheck

import (
	"context"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/outbound-events/outbound/pkg/bus/internal/wire"
)

// deletedOf are the sequences inside of a stream that it does not hold.
func deletedOf(ctx context.Context, c *wire.Conn, stream string) ([]Range, error) {
	s, err := c.JS.Stream(ctx, stream)
	if err != nil {
		return nil, fmt.Errorf("look up %s: %w", stream, err)
	}
	i, err := s.Info(ctx, jetstream.WithDeletedDetails(true))
	if err != nil {
		return nil, fmt.Errorf("look up what %s lacks: %w", stream, err)
	}
	return join(i.State.Deleted), nil
}

// join makes ranges of sequences.
func join(sequences []uint64) (out []Range) {
	slices.Sort(sequences)
	for _, s := range sequences {
		if n := len(out); n > 0 && out[n-1].Last+1 == s {
			out[n-1].Last = s
			continue
		}
		out = append(out, Range{First: s, Last: s})
	}
	return out
}
