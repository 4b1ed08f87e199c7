package wire

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/outbound-events/outbound/pkg/bus/internal/names"
	"github.com/outbound-events/outbound/pkg/pause"
)

// revisionsKept is how many values of a key a bucket of configuration keeps: the most that a bucket may.
const revisionsKept = 64

// Headers of the messages in a bucket. The first is JetStream's own, with the value that marks a removed key.
const (
	headerKVOperation  = "KV-Operation"
	kvRemoved          = "DEL"
	kvPurged           = "PURGE"
	headerAction       = "Outbound-Action"
	headerRolledBackTo = "Outbound-Rolled-Back-To"
	// headerWrite tells one write from another of the same value, so that a write whose answer was lost can be found.
	headerWrite = "Outbound-Write"
)

// Note says who changed a key and what was done. It is stored in the same message as the change.
type Note struct {
	Actor, Action string
	// RolledBackTo is the revision whose value was written again; 0: none.
	RolledBackTo uint64
}

// Change is one change of a key, as the bucket keeps it. Changes written by an older release have no note.
type Change struct {
	Entry
	Note
	// Removed says that the key was removed: there is no value.
	Removed bool
}

// Write stores a key whose last revision is the one named (ErrConflict), or with 0 one that is not there (ErrExists), and the
// note with it. A write whose answer was lost is looked up: it succeeded if its message is the key's last.
func (b *Bucket) Write(ctx context.Context, key string, value []byte, revision uint64, n Note) (uint64, error) {
	m := b.message(key, n)
	m.Data = value
	if revision > 0 {
		stored, err := b.publish(ctx, m, key, revision)
		return stored, b.Say("update", key, err)
	}
	stored, err := b.create(ctx, m, key)
	return stored, b.Say("create", key, err)
}

// Remove removes a key whose last revision is the one named (ErrConflict), and keeps the note with that. See Write.
func (b *Bucket) Remove(ctx context.Context, key string, revision uint64, n Note) error {
	m := b.message(key, n)
	m.Header.Set(headerKVOperation, kvRemoved)
	_, err := b.publish(ctx, m, key, revision)
	return b.Say("delete", key, err)
}

func (b *Bucket) message(key string, n Note) *nats.Msg {
	m := nats.NewMsg(BucketSubject(b.name, key))
	m.Header.Set(headerWrite, nuid.Next())
	m.Header.Set(names.HeaderActor, oneLine(n.Actor))
	m.Header.Set(headerAction, oneLine(n.Action))
	if n.RolledBackTo > 0 {
		m.Header.Set(headerRolledBackTo, strconv.FormatUint(n.RolledBackTo, 10))
	}
	return m
}

// oneLine keeps a text from ending its header.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}

// publish stores a message of a key whose last sequence is the one named. Its message id makes the repeats harmless that Again makes
// when an answer is lost. A server that does not know the id any more refuses the repeat, so the key's last message is looked up too.
func (b *Bucket) publish(ctx context.Context, m *nats.Msg, key string, last uint64) (uint64, error) {
	m.Header.Set(names.HeaderMsgID, m.Header.Get(headerWrite)+":"+strconv.FormatUint(last, 10))
	for began := time.Now(); ; {
		ack, err := b.conn.JS.PublishMsg(ctx, m, jetstream.WithExpectLastSequencePerSubject(last))
		if err == nil {
			return ack.Sequence, b.synced(ack.Sequence)
		}
		if !temporary(err) && !WrongSequence(err) {
			return 0, err
		}
		at, ours, unknown := b.stored(ctx, m, key)
		switch {
		case ours:
			return at, b.synced(at)
		case !WrongSequence(err):
			return 0, err
		case unknown == nil && at != last:
			return 0, err
		}
		// The server that refused knows of a later message, which the one that was asked does not know yet, or of one that was on its way,
		// maybe this one. A change of the leader may end it.
		if time.Since(began) > repeatRequests || !pause.For(ctx, tryPause) {
			return 0, undecided(unknown)
		}
	}
}

// undecided is the error of a write that the broker goes on refusing although nothing was stored that would forbid it. It is no conflict:
// nobody else's write is known. lookup is why what is stored is not known; nil: it is known.
func undecided(lookup error) error {
	err := fmt.Errorf("the broker refuses the write because of another one on its way: %w", ErrUnsettled)
	return errors.Join(err, lookup)
}

// stored is where the last message of a key is stored, and whether it is this one.
func (b *Bucket) stored(ctx context.Context, m *nats.Msg, key string) (at uint64, ours bool, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), firstTry)
	defer cancel()
	found, err := b.conn.Direct(ctx, BucketStream(b.name), DirectRequest{LastFor: BucketSubject(b.name, key)})
	if err != nil || len(found) != 1 {
		return 0, false, err
	}
	return StoredSequence(found[0]), found[0].Header.Get(headerWrite) == m.Header.Get(headerWrite), nil
}

// store is the value of a key without a note.
func (b *Bucket) store(key string, value []byte) *nats.Msg {
	m := nats.NewMsg(BucketSubject(b.name, key))
	m.Header.Set(headerWrite, nuid.Next())
	m.Data = value
	return m
}

// create stores a key that is not there, or has been removed.
func (b *Bucket) create(ctx context.Context, m *nats.Msg, key string) (uint64, error) {
	stored, err := b.publish(ctx, m, key, 0)
	if WrongSequence(err) {
		// A key that was removed is not there either.
		if last, found, lookErr := b.last(ctx, key); lookErr == nil && found && last.Removed {
			stored, err = b.publish(ctx, m, key, last.Revision)
		}
	}
	if WrongSequence(err) {
		err = fmt.Errorf("%w: %w", jetstream.ErrKeyExists, err)
	}
	return stored, err
}

// last is the newest change of a key.
func (b *Bucket) last(ctx context.Context, key string) (Change, bool, error) {
	return b.one(ctx, DirectRequest{LastFor: BucketSubject(b.name, key)})
}

// ChangeAt is the change that made a revision of a key; false if it is not kept, or is another key's.
func (b *Bucket) ChangeAt(ctx context.Context, key string, revision uint64) (Change, bool, error) {
	c, ok, err := b.one(ctx, DirectRequest{Sequence: revision})
	return c, ok && c.Key == key && c.Revision == revision, err
}

// ChangeBefore is the change of a key before a revision of it; false if none is kept.
func (b *Bucket) ChangeBefore(ctx context.Context, key string, revision uint64) (Change, bool, error) {
	if revision <= 1 {
		return Change{}, false, nil
	}
	return b.one(ctx, DirectRequest{MultiLast: []string{BucketSubject(b.name, key)}, UpTo: revision - 1})
}

func (b *Bucket) one(ctx context.Context, r DirectRequest) (Change, bool, error) {
	ms, err := b.conn.Direct(ctx, BucketStream(b.name), r)
	if err != nil || len(ms) == 0 {
		return Change{}, false, err
	}
	return b.changeOf(ms[0]), true, nil
}

// Changes lists the changes of the keys that a pattern matches (`>` at its end: all that follow), newest first, those before a
// revision (0: from the end), at most limit.
func (b *Bucket) Changes(ctx context.Context, keys string, before uint64, limit int) ([]Change, error) {
	s, err := b.conn.JS.Stream(ctx, BucketStream(b.name))
	if err != nil {
		return nil, fmt.Errorf("look up bucket %s: %w", b.name, err)
	}
	state := s.CachedInfo().State
	r := NewBackward(b.conn, BucketStream(b.name), BucketSubject(b.name, keys), state)
	if before > 0 {
		r.before(before)
	}
	var out []Change
	for len(out) < limit {
		ms, more, err := r.Older(ctx)
		if err != nil {
			return nil, fmt.Errorf("read the changes in bucket %s: %w", b.name, err)
		}
		if !more {
			break
		}
		for _, m := range slices.Backward(ms) {
			out = append(out, b.changeOf(m))
		}
	}
	return out[:min(limit, len(out))], nil
}

// changeOf reads a message of the bucket's stream, as a direct get answers it.
func (b *Bucket) changeOf(m *nats.Msg) Change {
	h := m.Header
	to, _ := strconv.ParseUint(h.Get(headerRolledBackTo), 10, 64)
	return Change{
		Entry: Entry{Key: strings.TrimPrefix(h.Get("Nats-Subject"), BucketSubject(b.name, "")), Value: m.Data, Revision: StoredSequence(m),
			Time: StoredTime(m)},
		Note:    Note{Actor: h.Get(names.HeaderActor), Action: h.Get(headerAction), RolledBackTo: to},
		Removed: h.Get(headerKVOperation) == kvRemoved || h.Get(headerKVOperation) == kvPurged,
	}
}
