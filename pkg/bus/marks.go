package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/outbound-events/outbound/pkg/standing"
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
func (s *Standings) Mark(ctx context.Context, name string) (m standing.Mark, revision uint64, err error) {
	b, err := s.conn.Bucket(ctx, BucketStatus)
	if err != nil {
		return m, 0, err
	}
	e, err := b.Get(ctx, prefixMark+name)
	switch {
	case errors.Is(err, ErrNotFound):
		return m, 0, nil
	case err != nil:
		return m, 0, err
	}
	if json.Unmarshal(e.Value, &m) != nil {
		m = standing.Mark{} // one that can't be read counts as none, and is written over
	}
	return m, e.Revision, nil
}

// Marks are the marks whose names begin with prefix, by name.
func (s *Standings) Marks(ctx context.Context, prefix string) (map[string]standing.Mark, map[string]uint64, error) {
	b, err := s.conn.Bucket(ctx, BucketStatus)
	if err != nil {
		return nil, nil, err
	}
	entries, err := b.All(ctx, prefixMark+prefix)
	if err != nil {
		return nil, nil, err
	}
	marks, revisions := map[string]standing.Mark{}, map[string]uint64{}
	for _, e := range entries {
		var m standing.Mark
		_ = json.Unmarshal(e.Value, &m) // as above
		name := e.Key[len(prefixMark):]
		marks[name], revisions[name] = m, e.Revision
	}
	return marks, revisions, nil
}

// PutMark writes a mark whose last revision is the one named, 0 for a new one: else standing.ErrConflict.
func (s *Standings) PutMark(ctx context.Context, name string, m standing.Mark, revision uint64) (uint64, error) {
	b, err := s.conn.Bucket(ctx, BucketStatus)
	if err != nil {
		return 0, err
	}
	value, err := json.Marshal(m)
	if err != nil {
		return 0, fmt.Errorf("write the mark %s: %w", name, err)
	}
	return put(ctx, b, prefixMark+name, value, revision)
}

// RemoveMark removes a mark whose last revision is the one named: else standing.ErrConflict.
func (s *Standings) RemoveMark(ctx context.Context, name string, revision uint64) error {
	b, err := s.conn.Bucket(ctx, BucketStatus)
	if err != nil {
		return err
	}
	if err := b.Delete(ctx, prefixMark+name, revision); errors.Is(err, ErrConflict) {
		return fmt.Errorf("%w: %w", standing.ErrConflict, err)
	} else if err != nil {
		return err
	}
	return nil
}

// put writes a key whose last revision is the one named, 0 for a new one: else standing.ErrConflict.
func put(ctx context.Context, b *Bucket, key string, value []byte, revision uint64) (rev uint64, err error) {
	if revision == 0 {
		rev, err = b.Create(ctx, key, value)
	} else {
		rev, err = b.Update(ctx, key, value, revision)
	}
	if errors.Is(err, ErrConflict) || errors.Is(err, ErrExists) {
		return 0, fmt.Errorf("%w: %w", standing.ErrConflict, err)
	}
	return rev, err
}
