package control

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/outbound-events/outbound/pkg/bus/internal/names"
	"github.com/outbound-events/outbound/pkg/bus/internal/wire"
	"github.com/outbound-events/outbound/pkg/delivery/pushback"
	"github.com/outbound-events/outbound/pkg/recipient"
)

// Pauses keeps the pauses that recipients ask for in the bucket of statuses.
type Pauses struct {
	conn *wire.Conn
}

var _ pushback.Store = (*Pauses)(nil)

// NewPauses opens the pauses. The bucket is looked up at each call, so it may still be missing.
func NewPauses(c *wire.Conn) *Pauses { return &Pauses{conn: c} }

// pauseKey is where a pause is kept. No channel is called so.
func pauseKey(ch recipient.Channel, id string) string { return "pause." + string(ch) + "." + id }

// Watch tells every pause of a channel and then each change. See pushback.Store.
func (s *Pauses) Watch(ctx context.Context, ch recipient.Channel, complete func(), tell func(string, pushback.Pause)) error {
	return watchStatus(ctx, s.conn, statusWatch{keys: pauseKey(ch, ">"), complete: complete, tell: func(e jetstream.KeyValueEntry) {
		tell(strings.TrimPrefix(e.Key(), pauseKey(ch, "")), pauseOf(e))
	}})
}

// pauseOf reads an entry. One that can't be read counts as none.
func pauseOf(e jetstream.KeyValueEntry) (p pushback.Pause) {
	if e.Operation() != jetstream.KeyValuePut || json.Unmarshal(e.Value(), &p) != nil {
		return pushback.Pause{}
	}
	return p
}

// Put stores a pause. See pushback.Store.
func (s *Pauses) Put(ctx context.Context, ch recipient.Channel, id string, p pushback.Pause) error {
	b, err := s.conn.Bucket(ctx, names.BucketStatus)
	if err != nil {
		return err
	}
	value, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("encode the pause of %s: %w", id, err)
	}
	if _, err := b.KV.Put(ctx, pauseKey(ch, id), value); err != nil {
		return fmt.Errorf("store the pause of %s: %w", id, err)
	}
	return nil
}

// Remove removes a pause. See pushback.Store.
func (s *Pauses) Remove(ctx context.Context, ch recipient.Channel, id string) error {
	b, err := s.conn.Bucket(ctx, names.BucketStatus)
	if err != nil {
		return err
	}
	return b.Delete(ctx, pauseKey(ch, id), 0)
}
