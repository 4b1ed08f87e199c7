// Package checkpoints is the stream CHECKPOINTS: segments of the tree over the delivery log, some of which end with a signed
// checkpoint. Any process may append: the broker stores a segment only if it follows the one that it was made for.
package checkpoints

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/outbound-events/outbound/pkg/bus/internal/names"
	"github.com/outbound-events/outbound/pkg/bus/internal/wire"
	"github.com/outbound-events/outbound/pkg/tlog"
)

// Log reads and writes CHECKPOINTS.
type Log struct{ conn *wire.Conn }

// New reads and writes through a connection.
func New(c *wire.Conn) *Log { return &Log{c} }

// Append stores a segment behind the one at a sequence; 0: as the first. wire.ErrConflict: another one is there.
func (l *Log) Append(ctx context.Context, s tlog.Segment, after uint64) (uint64, error) {
	raw, err := s.Encode()
	if err != nil {
		return 0, err
	}
	m := nats.NewMsg(names.SubjectCheckpoints)
	m.Data = raw
	m.Header.Set(names.HeaderMsgID, nuid.Next())
	ack, err := l.conn.JS.PublishMsg(ctx, m, jetstream.WithExpectLastSequence(after))
	if wire.WrongSequence(err) {
		err = wire.ErrConflict
	}
	if err == nil {
		err = l.conn.Synced(names.StreamCheckpoints, ack.Sequence)
	}
	if err != nil {
		return 0, fmt.Errorf("store a segment of the tree: %w", err)
	}
	return ack.Sequence, nil
}

// Stored is a segment where it stands. Err says that what stands there can't be read.
type Stored struct {
	tlog.Segment
	Sequence uint64
	Time     time.Time
	Err      error
}

// Extent are the sequences of the first and the last segment; last is 0 if there was never one.
func (l *Log) Extent(ctx context.Context) (first, last uint64, err error) {
	s, err := l.conn.JS.Stream(ctx, names.StreamCheckpoints)
	if err != nil {
		return 0, 0, fmt.Errorf("look up stream %s: %w", names.StreamCheckpoints, err)
	}
	return s.CachedInfo().State.FirstSeq, s.CachedInfo().State.LastSeq, nil
}

// At reads the segment at a sequence; ok is false if there is none.
func (l *Log) At(ctx context.Context, sequence uint64) (s Stored, ok bool, err error) {
	ms, err := l.conn.Direct(ctx, names.StreamCheckpoints, wire.DirectRequest{Sequence: sequence})
	if err != nil || len(ms) == 0 {
		return s, false, err
	}
	return decode(ms[0]), true, nil
}

func decode(m *nats.Msg) Stored {
	s := Stored{Sequence: wire.StoredSequence(m), Time: wire.StoredTime(m)}
	s.Segment, s.Err = tlog.DecodeSegment(m.Data)
	return s
}

// batch is how many segments are read at once: each may have 60 KB.
const batch = 16

// Each calls visit with each segment from a sequence on, oldest first, until it returns false.
func (l *Log) Each(ctx context.Context, from uint64, visit func(Stored) (bool, error)) error {
	for {
		ms, err := l.conn.Direct(ctx, names.StreamCheckpoints, wire.DirectRequest{Sequence: max(from, 1), NextFor: ">", Batch: batch})
		if err != nil {
			return fmt.Errorf("read the checkpoints: %w", err)
		}
		if len(ms) == 0 {
			return nil
		}
		for _, m := range ms {
			s := decode(m)
			from = s.Sequence + 1
			if more, err := visit(s); err != nil || !more {
				return err
			}
		}
	}
}

// SequenceAt is the first segment that was stored at a time or later; ok is false if there is none.
func (l *Log) SequenceAt(ctx context.Context, t time.Time) (sequence uint64, ok bool, err error) {
	return l.conn.SequenceAt(ctx, names.StreamCheckpoints, t)
}

// Trim is a range of HISTORY of which a restore has removed records, because their events are not in the backup.
type Trim struct {
	From  uint64    `json:"from"`
	To    uint64    `json:"to"`
	Count int       `json:"count"`
	Time  time.Time `json:"time"`
}

const (
	// keyTrims is where trims are noted, in the bucket of statuses.
	keyTrims = "mark.history-trims"
	// maxTrims is how many are noted. Those of the oldest restores are forgotten first.
	maxTrims = 32
)

// Trims are the ranges of which restores have removed records.
func (l *Log) Trims(ctx context.Context) (out []Trim, err error) {
	kv, err := l.conn.Bucket(ctx, names.BucketStatus)
	if err != nil {
		return nil, err
	}
	e, err := kv.Get(ctx, keyTrims)
	if errors.Is(err, wire.ErrNotFound) {
		return nil, nil
	}
	if err == nil {
		err = json.Unmarshal(e.Value, &out)
	}
	if err != nil {
		return nil, fmt.Errorf("read which records a restore has removed: %w", err)
	}
	return out, nil
}

// NoteTrim notes such a range.
func (l *Log) NoteTrim(ctx context.Context, t Trim) error {
	all, err := l.Trims(ctx)
	if err != nil {
		return err
	}
	all = append(all, t)
	raw, err := json.Marshal(all[max(0, len(all)-maxTrims):])
	if err != nil {
		return err
	}
	kv, err := l.conn.Bucket(ctx, names.BucketStatus)
	if err == nil {
		_, err = kv.Put(ctx, keyTrims, raw)
	}
	if err != nil {
		return fmt.Errorf("note which records a restore has removed: %w", err)
	}
	return nil
}
