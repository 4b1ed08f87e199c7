package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/outbound-events/outbound/pkg/bus/internal/names"
	"github.com/outbound-events/outbound/pkg/bus/internal/wire"
	"github.com/outbound-events/outbound/pkg/health"
	"github.com/outbound-events/outbound/pkg/recipient"
)

// HealthStore keeps the health of recipients in the bucket of statuses.
type HealthStore struct {
	conn *wire.Conn
}

var _ health.Store = (*HealthStore)(nil)

// NewHealthStore opens the statuses. The bucket is looked up at each call, so it may still be missing.
func NewHealthStore(c *wire.Conn) *HealthStore { return &HealthStore{conn: c} }

func statusKey(ch recipient.Channel, id string) string { return string(ch) + "." + id }

// Watch tells every status of a channel and then each change. See health.Store.
func (s *HealthStore) Watch(ctx context.Context, ch recipient.Channel, begin func(), tell func(health.Entry)) error {
	return watchStatus(ctx, s.conn, statusWatch{keys: statusKey(ch, ">"), begin: begin, tell: func(e jetstream.KeyValueEntry) {
		if x, readable := statusOf(e); readable {
			tell(x)
		}
	}})
}

// statusOf reads an entry. One that can't be read counts as none, and is written over.
func statusOf(e jetstream.KeyValueEntry) (health.Entry, bool) {
	_, id, ok := strings.Cut(e.Key(), ".")
	x := health.Entry{Recipient: id, Revision: e.Revision(), Gone: e.Operation() != jetstream.KeyValuePut}
	if !x.Gone && json.Unmarshal(e.Value(), &x.Status) != nil {
		x.Status = health.Status{}
	}
	return x, ok
}

// Get reads one status; a revision of 0 if there is none.
func (s *HealthStore) Get(ctx context.Context, ch recipient.Channel, id string) (health.Entry, error) {
	b, err := s.conn.Bucket(ctx, names.BucketStatus)
	if err != nil {
		return health.Entry{}, err
	}
	e, err := b.Get(ctx, statusKey(ch, id))
	switch {
	case errors.Is(err, wire.ErrNotFound):
		return health.Entry{Recipient: id}, nil
	case err != nil:
		return health.Entry{}, err
	}
	x := health.Entry{Recipient: id, Revision: e.Revision}
	if json.Unmarshal(e.Value, &x.Status) != nil {
		x.Status = health.Status{} // see statusOf
	}
	return x, nil
}

// All returns the statuses of all channels, by `<channel>.<id>`. See Statuses.Of.
func (s *HealthStore) All(ctx context.Context) (Statuses, error) {
	b, err := s.conn.Bucket(ctx, names.BucketStatus)
	if err != nil {
		return nil, err
	}
	// The samples of queues, which are many, have keys of three tokens.
	entries, err := b.AllOf(ctx, statusKey("*", "*"))
	if err != nil {
		return nil, err
	}
	out := Statuses{}
	for _, e := range entries {
		var st health.Status
		if json.Unmarshal(e.Value, &st) == nil {
			out[e.Key] = st
		}
	}
	return out, nil
}

// Statuses are statuses by key.
type Statuses map[string]health.Status

// Of is a recipient's status; one that never failed has none, and is OK.
func (s Statuses) Of(r *recipient.Recipient) health.Status {
	if st, ok := s[statusKey(r.Channel(), r.ID)]; ok {
		return st
	}
	return health.Status{Health: health.OK}
}

// Changes calls changed after each change of the status of a recipient or the relay, until ctx ends. A call is a hint. Marks, which
// intake writes all the time, do not count.
func (s *HealthStore) Changes(ctx context.Context, changed func()) error {
	b, err := s.conn.Bucket(ctx, names.BucketStatus)
	if err != nil {
		return err
	}
	keys := []string{keyRelay}
	for _, d := range recipient.Channels() {
		keys = append(keys, statusKey(d.Name, ">"))
	}
	return b.WatchKeys(ctx, keys, changed)
}

// Put writes a status whose last revision is the one named, 0 for a new one: else health.ErrConflict.
func (s *HealthStore) Put(ctx context.Context, ch recipient.Channel, id string, st health.Status, revision uint64) (uint64, error) {
	b, err := s.conn.Bucket(ctx, names.BucketStatus)
	if err != nil {
		return 0, err
	}
	value, err := json.Marshal(st)
	if err != nil {
		return 0, fmt.Errorf("encode the status of %s: %w", id, err)
	}
	return put(ctx, b, statusKey(ch, id), value, revision)
}

// Remove removes a status whose last revision is the one named.
func (s *HealthStore) Remove(ctx context.Context, ch recipient.Channel, id string, revision uint64) error {
	b, err := s.conn.Bucket(ctx, names.BucketStatus)
	if err != nil {
		return err
	}
	return b.Delete(ctx, statusKey(ch, id), revision)
}

// Backlog looks a recipient's queue up.
func (s *HealthStore) Backlog(ctx context.Context, ch recipient.Channel, id string) (health.Backlog, error) {
	b, err := New(s.conn).Backlog(ctx, ch, id)
	return health.Backlog{Waiting: int(min(b.Waiting+b.Unsettled, 1<<31)), Oldest: b.Oldest}, err
}

// QueuedUntil counts what of a recipient's queue was stored at or before a time.
func (s *HealthStore) QueuedUntil(ctx context.Context, ch recipient.Channel, id string, until time.Time) (int, error) {
	n, err := New(s.conn).QueuedUntil(ctx, ch, id, until)
	return int(min(n, 1<<31)), err
}

// Notify stores a notice. A repeat of its id within the stream's window is harmless.
func (s *HealthStore) Notify(ctx context.Context, n health.Notice) error {
	value, err := json.Marshal(n)
	if err != nil {
		return fmt.Errorf("encode notice %s: %w", n.ID, err)
	}
	ack, err := s.conn.JS.Publish(ctx, names.SubjectNotices+"."+string(n.Kind), value, jetstream.WithMsgID(n.ID))
	if err == nil {
		err = s.conn.Synced(names.StreamNotices, ack.Sequence)
	}
	if err != nil {
		return fmt.Errorf("store notice %s: %w", n.ID, err)
	}
	return nil
}
