package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/outbound-events/outbound/pkg/standing"
)

// keyRelay is where the bucket of statuses keeps how the SMTP relay stands. No channel is called so.
const keyRelay = "relay.smtp"

// Relay reads how the SMTP relay stands, with the revision that PutRelay must name: 0 if nobody has told yet. What can't be read
// counts as nothing told, and is written over.
func (s *Standings) Relay(ctx context.Context) (standing.Relay, uint64, error) {
	b, err := s.conn.Bucket(ctx, BucketStatus)
	if err != nil {
		return standing.Relay{}, 0, err
	}
	e, err := b.Get(ctx, keyRelay)
	if errors.Is(err, ErrNotFound) {
		return standing.Relay{}, 0, nil
	}
	if err != nil {
		return standing.Relay{}, 0, err
	}
	var r standing.Relay
	if json.Unmarshal(e.Value, &r) != nil {
		r = standing.Relay{}
	}
	return r, e.Revision, nil
}

// PutRelay writes how the SMTP relay stands over the revision named, 0 for none: else standing.ErrConflict.
func (s *Standings) PutRelay(ctx context.Context, r standing.Relay, revision uint64) error {
	b, err := s.conn.Bucket(ctx, BucketStatus)
	if err != nil {
		return err
	}
	value, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("write the status of the relay: %w", err)
	}
	if revision == 0 {
		_, err = b.Create(ctx, keyRelay, value)
	} else {
		_, err = b.Update(ctx, keyRelay, value, revision)
	}
	if errors.Is(err, ErrConflict) || errors.Is(err, ErrExists) {
		return fmt.Errorf("%w: %w", standing.ErrConflict, err)
	}
	return err
}
