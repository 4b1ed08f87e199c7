package auditlog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/outbound-events/outbound/pkg/audit"
	"github.com/outbound-events/outbound/pkg/bus/internal/names"
	"github.com/outbound-events/outbound/pkg/bus/internal/wire"
)

// keyMark is where the newest entry is noted, in the bucket of statuses: outside of the stream that it is about.
const keyMark = "mark.audit"

// batch is how many entries are read by one request.
const batch = 500

// state is how full AUDIT is.
type state struct {
	first, last, messages, bytes, maxBytes uint64
	maxAge                                 time.Duration
}

func (l *Log) lookUp(ctx context.Context) (state, error) {
	s, err := l.conn.JS.Stream(ctx, names.StreamAudit)
	if err != nil {
		return state{}, fmt.Errorf("look up stream %s: %w", names.StreamAudit, err)
	}
	i := s.CachedInfo()
	return state{first: i.State.FirstSeq, last: i.State.LastSeq, messages: i.State.Msgs, bytes: i.State.Bytes,
		maxBytes: uint64(max(i.Config.MaxBytes, 0)), maxAge: i.Config.MaxAge}, nil
}

const (
	// reserve is how many bytes must be free for a change to begin: its entry must fit.
	reserve = 1 << 20
	// stateFor is how long an answer about the room counts.
	stateFor = time.Second
)

// Ready is why no entry can be stored now: ErrFull, or what the broker says; nil: one can.
func (l *Log) Ready(ctx context.Context) error {
	s, err := l.room(ctx)
	if err == nil && s.maxBytes > 0 && s.bytes+reserve > s.maxBytes {
		err = fmt.Errorf("%w: it holds %d of %d bytes", ErrFull, s.bytes, s.maxBytes)
	}
	return err
}

// Fill is the part of AUDIT that is used, from 0 to 1.
func (l *Log) Fill(ctx context.Context) (float64, error) {
	s, err := l.room(ctx)
	if err != nil || s.maxBytes == 0 {
		return 0, err
	}
	return float64(s.bytes) / float64(s.maxBytes), nil
}

// room is the state of the last second.
func (l *Log) room(ctx context.Context) (state, error) {
	l.mu.Lock()
	s, fresh := l.state, !l.asked.IsZero() && time.Since(l.asked) < stateFor
	l.mu.Unlock()
	if fresh {
		return s, nil
	}
	s, err := l.lookUp(ctx)
	if err != nil {
		return state{}, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.state, l.asked = s, time.Now()
	return s, nil
}

// Each calls visit with each entry from a sequence on, oldest first, until it returns false. Entries that can't be read are empty, with
// their bytes.
func (l *Log) Each(ctx context.Context, from uint64, visit func(audit.Stored) (bool, error)) error {
	for {
		ms, err := l.conn.Direct(ctx, names.StreamAudit, wire.DirectRequest{Sequence: max(from, 1), NextFor: ">", Batch: batch})
		if err != nil {
			return fmt.Errorf("read the audit log: %w", err)
		}
		if len(ms) == 0 {
			return nil
		}
		for _, m := range ms {
			from = wire.StoredSequence(m) + 1
			s, _ := audit.Open(m.Data, m.Header.Get(headerHash), from-1)
			if more, err := visit(s); err != nil || !more {
				return err
			}
		}
	}
}

// Back calls visit with each entry before a sequence, newest first, until it returns false. before 0: from the end.
func (l *Log) Back(ctx context.Context, before uint64, visit func(audit.Stored) bool) error {
	s, err := l.lookUp(ctx)
	if err != nil {
		return err
	}
	end := s.last + 1
	if before > 0 {
		end = min(end, before)
	}
	for end > s.first && s.messages > 0 {
		begin := max(s.first, 1)
		if end > batch {
			begin = max(begin, end-batch)
		}
		ms, err := l.conn.Direct(ctx, names.StreamAudit, wire.DirectRequest{Sequence: begin, NextFor: ">", Batch: int(end - begin)})
		if err != nil {
			return fmt.Errorf("read the audit log: %w", err)
		}
		for i := len(ms) - 1; i >= 0; i-- {
			at := wire.StoredSequence(ms[i])
			if at >= end {
				continue
			}
			e, _ := audit.Open(ms[i].Data, ms[i].Header.Get(headerHash), at)
			if !visit(e) {
				return nil
			}
		}
		end = begin
	}
	return nil
}

// End is what is known of the log beside its entries.
func (l *Log) End(ctx context.Context) (audit.End, error) {
	s, err := l.lookUp(ctx)
	if err != nil {
		return audit.End{}, err
	}
	mark, err := l.Mark(ctx)
	return audit.End{Head: mark, Sequences: s.last, Kept: s.maxAge, Now: l.conn.Now()}, err
}

// Mark is the newest entry that was noted outside of AUDIT; nil: none.
func (l *Log) Mark(ctx context.Context) (*audit.Head, error) {
	kv, err := l.conn.Bucket(ctx, names.BucketStatus)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the mark of the audit log: %w", err)
	}
	e, err := kv.Get(ctx, keyMark)
	if errors.Is(err, wire.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the mark of the audit log: %w", err)
	}
	var h audit.Head
	if err := json.Unmarshal(e.Value, &h); err != nil {
		return nil, fmt.Errorf("read the mark of the audit log: %w", err)
	}
	return &h, nil
}

// Note notes the newest entry outside of AUDIT, if it is newer than the one that is noted. It reports whether it did.
func (l *Log) Note(ctx context.Context) (bool, error) {
	mark, err := l.Mark(ctx)
	if err != nil {
		return false, err
	}
	s, err := l.lookUp(ctx)
	if err != nil || s.messages == 0 || mark != nil && mark.Sequence == s.last {
		return false, err
	}
	newest, err := l.at(ctx, s.last)
	if err != nil || newest.Number == 0 || mark != nil && newest.Number <= mark.Number {
		return false, err
	}
	raw, err := json.Marshal(newest.Head())
	if err != nil {
		return false, fmt.Errorf("note the end of the audit log: %w", err)
	}
	kv, err := l.conn.Bucket(ctx, names.BucketStatus)
	if err == nil {
		_, err = kv.Put(ctx, keyMark, raw)
	}
	if err != nil {
		return false, fmt.Errorf("note the end of the audit log: %w", err)
	}
	return true, nil
}
