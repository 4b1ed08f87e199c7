package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/outbound-events/outbound/pkg/bus/internal/names"
	"github.com/outbound-events/outbound/pkg/bus/internal/wire"
	"github.com/outbound-events/outbound/pkg/health"
)

// keyRelay is where the bucket of statuses keeps how the SMTP relay stands. No channel is called so.
const keyRelay = "relay.smtp"

// Relay reads how the SMTP relay stands, with the revision that PutRelay must name: 0 if nobody has told yet. What can't be read
// counts as nothing told, and is written over.
func (s *HealthStore) Relay(ctx context.Context) (health.Relay, uint64, error) {
	b, err := s.conn.Bucket(ctx, names.BucketStatus)
	if err != nil {
		return health.Relay{}, 0, err
	}
	e, err := b.Get(ctx, keyRelay)
	if errors.Is(err, wire.ErrNotFound) {
		return health.Relay{}, 0, nil
	}
	if err != nil {
		return health.Relay{}, 0, err
	}
	var r health.Relay
	if json.Unmarshal(e.Value, &r) != nil {
		r = health.Relay{}
	}
	return r, e.Revision, nil
}

// PutRelay writes how the SMTP relay stands over the revision named, 0 for none: else health.ErrConflict.
func (s *HealthStore) PutRelay(ctx context.Context, r health.Relay, revision uint64) error {
	b, err := s.conn.Bucket(ctx, names.BucketStatus)
	if err != nil {
		return err
	}
	value, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode the status of the relay: %w", err)
	}
	if revision == 0 {
		_, err = b.Create(ctx, keyRelay, value)
	} else {
		_, err = b.Update(ctx, keyRelay, value, revision)
	}
	if errors.Is(err, wire.ErrConflict) || errors.Is(err, wire.ErrExists) {
		return fmt.Errorf("%w: %w", health.ErrConflict, err)
	}
	return err
}
