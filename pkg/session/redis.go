package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/outbound-events/outbound/pkg/throttle"
)

// Redis is a Store that all consoles with the same Redis share.
type Redis struct{ client commands }

// commands is what is used of a client. The type of the client itself would be compiled again by each package that names a Redis.
type commands interface {
	Set(ctx context.Context, key string, value any, ttl time.Duration) *redis.StatusCmd
	GetEx(ctx context.Context, key string, ttl time.Duration) *redis.StringCmd
	Del(ctx context.Context, keys ...string) *redis.IntCmd
	Close() error
}

// NewRedis makes a shared store. It does not connect yet: while Redis is away the store's methods say so. Close ends it.
func NewRedis(o throttle.RedisOptions) (*Redis, error) {
	c, err := throttle.NewClient(o)
	if err != nil {
		return nil, err
	}
	return &Redis{client: c}, nil
}

// Close ends the connections.
func (r *Redis) Close() error {
	if err := r.client.Close(); err != nil {
		return fmt.Errorf("close redis: %w", err)
	}
	return nil
}

// Put implements Store.
func (r *Redis) Put(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if err := r.client.Set(ctx, key, value, ttl).Err(); err != nil {
		return fmt.Errorf("write to redis: %w", err)
	}
	return nil
}

// Get implements Store.
func (r *Redis) Get(ctx context.Context, key string, ttl time.Duration) ([]byte, error) {
	value, err := r.client.GetEx(ctx, key, ttl).Bytes()
	switch {
	case errors.Is(err, redis.Nil):
		return nil, ErrNone
	case err != nil:
		return nil, fmt.Errorf("read from redis: %w", err)
	default:
		return value, nil
	}
}

// Delete implements Store.
func (r *Redis) Delete(ctx context.Context, key string) error {
	if err := r.client.Del(ctx, key).Err(); err != nil {
		return fmt.Errorf("delete from redis: %w", err)
	}
	return nil
}
