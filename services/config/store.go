package config

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/outbound-events/outbound/pkg/bus"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// The keys of the bucket of recipients: a recipient by id, and the id of the recipient that has a name.
const (
	prefixRecipient = "r."
	prefixName      = "name."
)

// bucket opens a key-value bucket when it is first used, so that the service may start before the broker has it.
type bucket struct {
	conn *bus.Conn
	name string
	// dirty says that what was read of the bucket is old: a watch hinted at it, or this process wrote.
	dirty chan struct{}
	// mem holds all entries of a bucket that is a copy in memory; nil: this is the bucket itself.
	mem *memStore

	mu sync.Mutex
	kv *bus.Bucket
}

func newBucket(conn *bus.Conn, name string) *bucket {
	return &bucket{conn: conn, name: name, dirty: make(chan struct{}, 1)}
}

func (b *bucket) open(ctx context.Context) (*bus.Bucket, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.kv == nil {
		kv, err := b.conn.Bucket(ctx, b.name)
		if err != nil {
			return nil, err
		}
		b.kv = kv
	}
	return b.kv, nil
}

// brokerTimeout bounds one question to the broker. An answer that was on its way when the connection broke never comes.
const brokerTimeout = 4 * time.Second

// within asks the broker once, in bounded time.
func within[T any](ctx context.Context, ask func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, brokerTimeout)
	defer cancel()
	return ask(ctx)
}

// read reads one key, or bus.ErrNotFound.
func (b *bucket) read(ctx context.Context, key string) (bus.Entry, error) {
	if b.mem != nil {
		return b.mem.read(key)
	}
	return within(ctx, func(ctx context.Context) (bus.Entry, error) {
		kv, err := b.open(ctx)
		if err != nil {
			return bus.Entry{}, err
		}
		return kv.Get(ctx, key)
	})
}

// all reads every key with a prefix.
func (b *bucket) all(ctx context.Context, prefix string) ([]bus.Entry, error) {
	if b.mem != nil {
		return b.mem.all(prefix), nil
	}
	return within(ctx, func(ctx context.Context) ([]bus.Entry, error) {
		kv, err := b.open(ctx)
		if err != nil {
			return nil, err
		}
		return kv.All(ctx, prefix)
	})
}

// write stores a key whose last revision is the one named; 0: that does not exist. Its error is bus.ErrConflict if that is
// not so. Who calls is kept with it as the actor.
func (b *bucket) write(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	return b.writeAs(ctx, key, value, revision, done{})
}

// writeAs is the same for a change that has a name of its own.
func (b *bucket) writeAs(ctx context.Context, key string, value []byte, revision uint64, d done) (uint64, error) {
	if b.mem != nil {
		return b.mem.write(key, value, revision)
	}
	defer signal(b.dirty)
	n := d.note(ctx, actionChanged)
	if revision == 0 {
		n = d.note(ctx, actionCreated)
	}
	return within(ctx, func(ctx context.Context) (uint64, error) {
		kv, err := b.open(ctx)
		if err != nil {
			return 0, err
		}
		written, err := kv.Write(ctx, key, value, revision, n)
		if errors.Is(err, bus.ErrExists) {
			err = fmt.Errorf("%w (%w)", bus.ErrConflict, err)
		}
		return written, err
	})
}

// remove deletes a key whose last revision is the one named. One that is gone already is no error.
func (b *bucket) remove(ctx context.Context, key string, revision uint64) error {
	return b.removeAs(ctx, key, revision, done{})
}

func (b *bucket) removeAs(ctx context.Context, key string, revision uint64, d done) error {
	if b.mem != nil {
		return b.mem.remove(key, revision)
	}
	defer signal(b.dirty)
	_, err := within(ctx, func(ctx context.Context) (struct{}, error) {
		kv, err := b.open(ctx)
		if err == nil {
			err = kv.Remove(ctx, key, revision, d.note(ctx, actionDeleted))
		}
		return struct{}{}, err
	})
	if errors.Is(err, bus.ErrNotFound) {
		return nil
	}
	return err
}

// storedRecipient is a recipient as it is stored, with the bucket's revision of it.
type storedRecipient struct {
	*outboundv1.StoredRecipient
	kv uint64
}

func (r storedRecipient) id() string     { return r.GetRecipient().GetId() }
func (r storedRecipient) deleting() bool { return r.GetRecipient().GetDeleteTime() != nil }
func (r storedRecipient) etag() string   { return etagOf(r.kv) }

// etagOf makes an etag of a revision. It is opaque to callers.
func etagOf(revision uint64) string { return strconv.FormatUint(revision, 10) }

// revisionOfEtag is the revision that an etag of ours was made of.
func revisionOfEtag(etag string) (uint64, error) {
	revision, err := strconv.ParseUint(etag, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read etag %q: %w", etag, err)
	}
	return revision, nil
}

func decodeStored(e bus.Entry) (storedRecipient, error) {
	r := storedRecipient{StoredRecipient: &outboundv1.StoredRecipient{}, kv: e.Revision}
	if err := proto.Unmarshal(e.Value, r.StoredRecipient); err != nil {
		return r, fmt.Errorf("read recipient %s: %w", strings.TrimPrefix(e.Key, prefixRecipient), err)
	}
	return r, nil
}

// recipient reads one recipient, or bus.ErrNotFound. One that is being deleted is read too.
func (s *Service) recipient(ctx context.Context, id string) (storedRecipient, error) {
	e, err := s.recipients.read(ctx, prefixRecipient+id)
	if err != nil {
		return storedRecipient{}, err
	}
	return decodeStored(e)
}

// allRecipients reads all recipients, those being deleted included, by id.
func (s *Service) allRecipients(ctx context.Context) ([]storedRecipient, error) {
	entries, err := s.recipients.all(ctx, prefixRecipient)
	if err != nil {
		return nil, err
	}
	out := make([]storedRecipient, 0, len(entries))
	for _, e := range entries {
		r, err := decodeStored(e)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

// put stores a recipient whose last revision is the one named and returns it with the new one.
func (s *Service) put(ctx context.Context, r *outboundv1.StoredRecipient, revision uint64, d done) (storedRecipient, error) {
	if r.GetRecipient().GetDeleteTime() != nil {
		d.action = actionDeleted
	}
	// What is derived from the rest is not stored.
	r.Recipient.Etag, r.Recipient.Warnings = "", nil
	if h := r.Recipient.GetHttp(); h != nil {
		h.CaCertificates = nil
	}
	b, err := proto.Marshal(r)
	if err != nil {
		return storedRecipient{}, fmt.Errorf("encode recipient %s: %w", r.GetRecipient().GetId(), err)
	}
	kv, err := s.recipients.writeAs(ctx, prefixRecipient+r.GetRecipient().GetId(), b, revision, d)
	return storedRecipient{StoredRecipient: r, kv: kv}, err
}
