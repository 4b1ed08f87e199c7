package auditlog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/outbound-events/outbound/pkg/bus/internal/names"
	"github.com/outbound-events/outbound/pkg/bus/internal/wire"
)

// position is how far a reader is.
type position struct {
	Sequence uint64 `json:"sequence"`
}

// Position is the sequence up to which a reader of a name has read; 0: it has read nothing.
func (l *Log) Position(ctx context.Context, name string) (uint64, error) {
	kv, err := l.conn.Bucket(ctx, names.BucketStatus)
	if err != nil {
		return 0, fmt.Errorf("read the position of %s: %w", name, err)
	}
	e, err := kv.Get(ctx, keyMark+"."+name)
	if errors.Is(err, wire.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read the position of %s: %w", name, err)
	}
	var p position
	if err := json.Unmarshal(e.Value, &p); err != nil {
		return 0, fmt.Errorf("read the position of %s: %w", name, err)
	}
	// A restored log may be shorter than the one that was read.
	s, err := l.lookUp(ctx)
	if err != nil {
		return 0, err
	}
	return min(p.Sequence, s.last), nil
}

// SavePosition notes how far a reader is.
func (l *Log) SavePosition(ctx context.Context, name string, sequence uint64) error {
	raw, err := json.Marshal(position{sequence})
	if err != nil {
		return fmt.Errorf("save the position of %s: %w", name, err)
	}
	kv, err := l.conn.Bucket(ctx, names.BucketStatus)
	if err == nil {
		_, err = kv.Put(ctx, keyMark+"."+name, raw)
	}
	if err != nil {
		return fmt.Errorf("save the position of %s: %w", name, err)
	}
	return nil
}
