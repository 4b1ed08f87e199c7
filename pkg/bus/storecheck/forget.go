package storecheck

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/outbound-events/outbound/pkg/bus/internal/names"
	"github.com/outbound-events/outbound/pkg/bus/internal/wire"
)

// BeginForgetting notes that values of keys are about to be removed from buckets of configuration, by wire.Bucket.Forget.
func BeginForgetting(ctx context.Context, c *wire.Conn) error {
	b, err := c.Bucket(ctx, names.BucketRecipients)
	if err != nil {
		return err
	}
	_, err = b.Put(ctx, names.KeyForgetting, []byte("1"))
	return err
}

// EndForgetting is called after a later write to each of the buckets, so that what they hold is known by that.
func EndForgetting(ctx context.Context, c *wire.Conn) error {
	b, err := c.Bucket(ctx, names.BucketRecipients)
	if err != nil {
		return err
	}
	return b.Delete(ctx, names.KeyForgetting, 0)
}

// forgetting reports whether values of keys are being removed on purpose, or were when a process ended.
func forgetting(ctx context.Context, c *wire.Conn) (bool, error) {
	b, err := c.Bucket(ctx, names.BucketRecipients)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	_, err = b.Get(ctx, names.KeyForgetting)
	if errors.Is(err, wire.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// GiveUpSecrets notes that the secrets that cannot be opened are given up, so that processes start without the key that has sealed them.
func GiveUpSecrets(ctx context.Context, c *wire.Conn) error {
	b, err := c.Bucket(ctx, names.BucketSettings)
	if err != nil {
		return err
	}
	_, err = b.Put(ctx, names.KeyGivenUp, nil)
	return err
}
