package wire

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// Forget removes the values of a key before a revision, for good. The inventory of the store takes that for a loss, unless
// storecheck.BeginForgetting was called before. A write to the bucket that follows makes it durable.
func (b *Bucket) Forget(ctx context.Context, key string, before uint64) error {
	_, err := Again(ctx, b.conn, func(ctx context.Context) (struct{}, error) {
		s, err := b.conn.JS.Stream(ctx, BucketStream(b.name))
		if err == nil {
			err = s.Purge(ctx, jetstream.WithPurgeSubject(BucketSubject(b.name, key)), jetstream.WithPurgeSequence(before))
		}
		return struct{}{}, err
	})
	if err != nil {
		return fmt.Errorf("remove the values of %s in bucket %s before %d: %w", key, b.name, before, err)
	}
	return nil
}
