package wire

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/outbound-events/outbound/pkg/bus/internal/names"
	"github.com/outbound-events/outbound/pkg/logkey"
	"github.com/outbound-events/outbound/pkg/telemetry"
)

// What a bucket's calls answer beside success. Callers compare with errors.Is.
var (
	// ErrNotFound says that there is no such key, message or record.
	ErrNotFound = errors.New("not found")
	// ErrExists says that the key to create is there already.
	ErrExists = errors.New("already exists")
	// ErrConflict says that somebody else changed the key meanwhile.
	ErrConflict = errors.New("changed concurrently")
)

// RemovedError is an ErrNotFound of a key whose removal is recorded in the bucket. A key that was lost has none.
type RemovedError struct {
	// At is when the key was removed.
	At time.Time
}

// Error implements error.
func (e *RemovedError) Error() string { return "removed at " + e.At.UTC().Format(time.RFC3339) }

// Unwrap makes it an ErrNotFound.
func (e *RemovedError) Unwrap() error { return ErrNotFound }

// Entry is a key's value with the revision that an Update of it must name.
type Entry struct {
	Key      string
	Value    []byte
	Revision uint64
	Time     time.Time
}

// Bucket is a JetStream key-value bucket: small, durable, changed by compare-and-set.
type Bucket struct {
	name string
	conn *Conn
	KV   jetstream.KeyValue
}

// Bucket opens a bucket that EnsureStreams made.
func (c *Conn) Bucket(ctx context.Context, name string) (*Bucket, error) {
	kv, err := c.JS.KeyValue(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", name, err)
	}
	return &Bucket{name: name, conn: c, KV: kv}, nil
}

// bucket opens a bucket, or makes it, and has it keep so many values of each key. One that keeps fewer, as older releases made
// it, is told to keep more; its watchers do not notice.
func (c *Conn) bucket(ctx context.Context, name string, history uint8, replicas int) (*Bucket, error) {
	b, err := c.Bucket(ctx, name)
	if err == nil {
		return b, keepMore(ctx, c, name, int64(history))
	}
	if !errors.Is(err, jetstream.ErrBucketNotFound) {
		return nil, err
	}
	ttl := time.Duration(0)
	if name == names.BucketReplays {
		ttl = replaysKept
	}
	kv, err := c.JS.CreateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: name, History: history, TTL: ttl, Storage: jetstream.FileStorage,
		Replicas: replicas, MaxValueSize: 1 << 20})
	if err != nil {
		return nil, fmt.Errorf("create bucket %s: %w", name, room(err, jetstream.StreamConfig{Replicas: replicas}))
	}
	return &Bucket{name: name, conn: c, KV: kv}, nil
}

func keepMore(ctx context.Context, c *Conn, name string, history int64) error {
	s, err := c.JS.Stream(ctx, BucketStream(name))
	if err != nil {
		return fmt.Errorf("look up bucket %s: %w", name, err)
	}
	config := s.CachedInfo().Config
	if config.MaxMsgsPerSubject >= history {
		return nil
	}
	config.MaxMsgsPerSubject = history
	if _, err := c.JS.UpdateStream(ctx, config); err != nil {
		return fmt.Errorf("set the history of bucket %s to %d values per key: %w", name, history, err)
	}
	return nil
}

// Get reads one key, or ErrNotFound.
func (b *Bucket) Get(ctx context.Context, key string) (Entry, error) {
	// nats.go's own Get refuses keys that are subjects all the same, as those with an at sign.
	c, found, err := b.last(ctx, key)
	switch {
	case err != nil:
	case !found:
		err = ErrNotFound
	case c.Removed:
		err = &RemovedError{At: c.Time}
	}
	if err != nil {
		return Entry{}, b.Say("get", key, err)
	}
	return c.Entry, nil
}

// Create stores a key that must not be there: ErrExists. A repeat after a lost answer is known by its message id.
func (b *Bucket) Create(ctx context.Context, key string, value []byte) (uint64, error) {
	rev, err := b.create(ctx, b.store(key, value), key)
	return rev, b.Say("create", key, err)
}

// Update stores a key whose last revision must be the one named: ErrConflict. See Create.
func (b *Bucket) Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	rev, err := b.publish(ctx, b.store(key, value), key, revision)
	return rev, b.Say("update", key, err)
}

// Put stores a key whatever it held. See Create.
func (b *Bucket) Put(ctx context.Context, key string, value []byte) (uint64, error) {
	m := b.store(key, value)
	m.Header.Set(names.HeaderMsgID, m.Header.Get(headerWrite))
	ack, err := b.conn.JS.PublishMsg(ctx, m)
	if err != nil {
		return 0, b.Say("put", key, err)
	}
	return ack.Sequence, b.Say("put", key, b.synced(ack.Sequence))
}

// Delete removes a key whose last revision must be the one named (ErrConflict); 0: whatever it is. See Create.
func (b *Bucket) Delete(ctx context.Context, key string, revision uint64) error {
	m := b.store(key, nil)
	m.Header.Set(headerKVOperation, kvRemoved)
	var err error
	if revision > 0 {
		_, err = b.publish(ctx, m, key, revision)
	} else {
		m.Header.Set(names.HeaderMsgID, m.Header.Get(headerWrite))
		var ack *jetstream.PubAck
		if ack, err = b.conn.JS.PublishMsg(ctx, m); err == nil {
			err = b.synced(ack.Sequence)
		}
	}
	return b.Say("delete", key, err)
}

// synced syncs a write that succeeded. The status is not worth it: it is written often, and what is lost of it is found out again.
func (b *Bucket) synced(revision uint64) error {
	if b.name == names.BucketStatus {
		return nil
	}
	return b.conn.Synced(BucketStream(b.name), revision)
}

// All reads every live entry whose key begins with prefix, sorted by key.
func (b *Bucket) All(ctx context.Context, prefix string) ([]Entry, error) {
	keys := ">"
	if strings.HasSuffix(prefix, ".") {
		keys = prefix + ">" // so that the broker does not send the others
	}
	all, err := b.AllOf(ctx, keys)
	return slices.DeleteFunc(all, func(e Entry) bool { return !strings.HasPrefix(e.Key, prefix) }), err
}

// AllOf reads every live entry whose key matches one of some patterns, sorted by key. The broker sends no others.
func (b *Bucket) AllOf(ctx context.Context, patterns ...string) ([]Entry, error) {
	return Again(ctx, b.conn, func(ctx context.Context) ([]Entry, error) { return b.all(ctx, slices.Clone(patterns)) })
}

func (b *Bucket) all(ctx context.Context, patterns []string) ([]Entry, error) {
	w, err := b.KV.WatchFiltered(ctx, patterns, jetstream.IgnoreDeletes())
	if err != nil {
		return nil, fmt.Errorf("list bucket %s: %w", b.name, err)
	}
	defer b.conn.StopWatch(w)
	var out []Entry
	for {
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("list bucket %s: %w", b.name, ctx.Err())
		case e, ok := <-w.Updates():
			if !ok {
				return nil, fmt.Errorf("list bucket %s: the watch ended early", b.name)
			}
			if e == nil {
				sort.Slice(out, func(i, j int) bool { return out[i].Key < out[j].Key })
				return out, nil
			}
			out = append(out, Entry{Key: e.Key(), Value: e.Value(), Revision: e.Revision(), Time: e.Created()})
		}
	}
}

// Revision is the revision of the last change in the bucket, of whatever key.
func (b *Bucket) Revision(ctx context.Context) (uint64, error) {
	s, err := b.conn.JS.Stream(ctx, BucketStream(b.name))
	if err != nil {
		return 0, fmt.Errorf("look up bucket %s: %w", b.name, err)
	}
	return s.CachedInfo().State.LastSeq, nil
}

// Watch calls changed after each change in the bucket, and after each reconnect, until ctx ends. A call is a hint: changes
// may be joined or missed while the broker is away, so the callee reads everything again. One goroutine calls.
func (b *Bucket) Watch(ctx context.Context, changed func()) error {
	return b.WatchKeys(ctx, []string{">"}, changed)
}

// WatchKeys is Watch of some keys.
func (b *Bucket) WatchKeys(ctx context.Context, keys []string, changed func()) error {
	for ctx.Err() == nil {
		if err := b.watchOnce(ctx, keys, changed); err != nil && ctx.Err() == nil {
			b.conn.Logger.Warn("bucket watch failed, retrying", logkey.Bucket, b.name, telemetry.KeyError, err.Error())
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
	return nil
}

func (b *Bucket) watchOnce(ctx context.Context, keys []string, changed func()) error {
	w, err := b.KV.WatchFiltered(ctx, slices.Clone(keys), jetstream.UpdatesOnly()) // it writes to what it is given
	if err != nil {
		return err
	}
	defer b.conn.StopWatch(w)
	connects := b.conn.Connects()
	changed()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if b.conn.Connected() && b.conn.Connects() != connects {
				// The watch's consumer may have gone with the old connection, which would be noticed only after some missed
				// heartbeats: a new watch says at once what changed.
				return nil
			}
		case _, ok := <-w.Updates():
			if !ok {
				return errors.New("the watch ended")
			}
			for joined := true; joined; {
				select {
				case _, ok = <-w.Updates():
					joined = ok
				default:
					joined = false
				}
			}
			changed()
		}
	}
}

// Say is the error of a call on a key: ErrNotFound, ErrExists or ErrConflict with what was tried, or another.
func (b *Bucket) Say(verb, key string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, jetstream.ErrKeyNotFound), errors.Is(err, jetstream.ErrKeyDeleted):
		err = ErrNotFound
	case verb == "create" && errors.Is(err, jetstream.ErrKeyExists):
		err = ErrExists
	case WrongSequence(err):
		err = ErrConflict
	}
	return fmt.Errorf("%s %s in bucket %s: %w", verb, key, b.name, err)
}

// WrongSequence reports whether the broker refused a write because the newest message was another one than expected.
func WrongSequence(err error) bool {
	var api *jetstream.APIError
	return errors.Is(err, jetstream.ErrKeyExists) || errors.As(err, &api) &&
		(api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence || api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}
