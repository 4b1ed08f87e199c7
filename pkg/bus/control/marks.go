package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/outbound-events/outbound/pkg/bus/internal/names"
	"github.com/outbound-events/outbound/pkg/bus/internal/wire"
	"github.com/outbound-events/outbound/pkg/health"
)

// prefixMark begins the keys of marks in the bucket of statuses.
const prefixMark = "mark."

// The names of marks. Those of appliances end with the appliance's id.
const (
	MarkDaily   = "daily"
	MarkFilling = "filling"
	MarkSilent  = "silent."
)

// Mark reads what has been told; a revision of 0 if nothing has.
func (s *HealthStore) Mark(ctx context.Context, name string) (m health.AlertState, revision uint64, err error) {
	b, err := s.conn.Bucket(ctx, names.BucketStatus)
	if err != nil {
		return m, 0, err
	}
	e, err := b.Get(ctx, prefixMark+name)
	switch {
	case errors.Is(err, wire.ErrNotFound):
		return m, 0, nil
	case err != nil:
		return m, 0, err
	}
	if json.Unmarshal(e.Value, &m) != nil {
		m = health.AlertState{} // one that can't be read counts as none, and is written over
	}
	return m, e.Revision, nil
}

// SilentMarks are the marks of silent appliances by appliance, with their revisions.
func (s *HealthStore) SilentMarks(ctx context.Context) (map[string]health.AlertState, map[string]uint64, error) {
	b, err := s.conn.Bucket(ctx, names.BucketStatus)
	if err != nil {
		return nil, nil, err
	}
	w, err := b.KV.Watch(ctx, prefixMark+MarkSilent+"*", jetstream.IgnoreDeletes())
	if err != nil {
		return nil, nil, fmt.Errorf("list alert states in bucket %s: %w", names.BucketStatus, err)
	}
	defer s.conn.StopWatch(w)
	marks, revisions := map[string]health.AlertState{}, map[string]uint64{}
	for {
		select {
		case <-ctx.Done():
			return nil, nil, fmt.Errorf("list alert states in bucket %s: %w", names.BucketStatus, ctx.Err())
		case e, ok := <-w.Updates():
			if !ok {
				return nil, nil, fmt.Errorf("list alert states in bucket %s: the watch ended early", names.BucketStatus)
			}
			if e == nil { // all there are have been told
				return marks, revisions, nil
			}
			var m health.AlertState
			_ = json.Unmarshal(e.Value(), &m) // as above
			appliance := strings.TrimPrefix(e.Key(), prefixMark+MarkSilent)
			marks[appliance], revisions[appliance] = m, e.Revision()
		}
	}
}

// PutMark writes a mark whose last revision is the one named, 0 for a new one: else health.ErrConflict.
func (s *HealthStore) PutMark(ctx context.Context, name string, m health.AlertState, revision uint64) (uint64, error) {
	b, err := s.conn.Bucket(ctx, names.BucketStatus)
	if err != nil {
		return 0, err
	}
	value, err := json.Marshal(m)
	if err != nil {
		return 0, fmt.Errorf("encode the alert state %s: %w", name, err)
	}
	return put(ctx, b, prefixMark+name, value, revision)
}

// RemoveMark removes a mark whose last revision is the one named: else health.ErrConflict.
func (s *HealthStore) RemoveMark(ctx context.Context, name string, revision uint64) error {
	b, err := s.conn.Bucket(ctx, names.BucketStatus)
	if err != nil {
		return err
	}
	if err := b.Delete(ctx, prefixMark+name, revision); errors.Is(err, wire.ErrConflict) {
		return fmt.Errorf("%w: %w", health.ErrConflict, err)
	} else if err != nil {
		return err
	}
	return nil
}

// put writes a key whose last revision is the one named, 0 for a new one: else health.ErrConflict.
func put(ctx context.Context, b *wire.Bucket, key string, value []byte, revision uint64) (rev uint64, err error) {
	if revision == 0 {
		rev, err = b.Create(ctx, key, value)
	} else {
		rev, err = b.Update(ctx, key, value, revision)
	}
	if errors.Is(err, wire.ErrConflict) || errors.Is(err, wire.ErrExists) {
		return 0, fmt.Errorf("%w: %w", health.ErrConflict, err)
	}
	return rev, err
}
