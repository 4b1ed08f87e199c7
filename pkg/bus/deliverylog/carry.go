package deliverylog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/outbound-events/outbound/pkg/bus/internal/names"
	"github.com/outbound-events/outbound/pkg/bus/internal/wire"
	"github.com/outbound-events/outbound/pkg/delivery"
)

// headerCarried marks copies of records, so that they are known without being read.
const headerCarried = "Outbound-Carried"

// keptShare is the share of what HISTORY may hold that its newest records have for themselves; what is older may soon be dropped.
const keptShare = 0.8

// LogBounds tell where HISTORY begins and which of its records are old.
type LogBounds struct {
	// First and Last are the sequences of its oldest and its newest record.
	First, Last uint64
	// Old is the first sequence that is not old: what stands before it is dropped before a fifth more has come of the records, the
	// bytes or the time that the log may hold. Below First: the log is far from its bounds.
	Old uint64
	// MaxRecords is how many records it may hold; 0: any number.
	MaxRecords uint64
}

// Bounds looks at HISTORY.
func (h *Reader) Bounds(ctx context.Context) (LogBounds, error) {
	s, err := h.conn.JS.Stream(ctx, names.StreamHistory)
	if err != nil {
		return LogBounds{}, fmt.Errorf("look up stream %s: %w", names.StreamHistory, err)
	}
	state, c := s.CachedInfo().State, s.CachedInfo().Config
	out := LogBounds{First: state.FirstSeq, Last: state.LastSeq, MaxRecords: uint64(max(c.MaxMsgs, 0))}
	if state.Msgs == 0 {
		return out, nil
	}
	newest := float64(state.LastSeq + 1)
	if c.MaxMsgs > 0 {
		out.Old = max(out.Old, uint64(max(newest-keptShare*float64(c.MaxMsgs), 0)))
	}
	if c.MaxBytes > 0 {
		each := float64(state.Bytes) / float64(state.Msgs)
		out.Old = max(out.Old, uint64(max(newest-keptShare*float64(c.MaxBytes)/each, 0)))
	}
	kept := time.Duration(keptShare * float64(c.MaxAge))
	if c.MaxAge > 0 && h.conn.Now().Sub(state.FirstTime) > kept {
		at, ok, err := h.SequenceAt(ctx, h.conn.Now().Add(-kept))
		if err != nil {
			return out, fmt.Errorf("read the old records of %s: %w", names.StreamHistory, err)
		}
		if !ok {
			at = state.LastSeq + 1
		}
		out.Old = max(out.Old, at)
	}
	return out, nil
}

// Retrying finds the records that say that a delivery is tried again, from a sequence on to before another, oldest first, at most limit.
// next is the first sequence at which there may be another.
func (h *Reader) Retrying(ctx context.Context, from, before uint64, limit int) (found []StoredRecord, next uint64, err error) {
	filter := strings.Join([]string{names.SubjectAttempt, "*", string(delivery.StateRetrying), ">"}, ".")
	ms, err := h.conn.Direct(ctx, names.StreamHistory, wire.DirectRequest{Sequence: max(from, 1), NextFor: filter, Batch: limit})
	if err != nil {
		return nil, from, fmt.Errorf("read records of pending deliveries: %w", err)
	}
	for _, m := range ms {
		if next = wire.StoredSequence(m); next >= before {
			return found, next, nil
		}
		r := StoredRecord{Sequence: next, Time: wire.StoredTime(m)}
		if err := json.Unmarshal(m.Data, &r.Record); err != nil {
			return nil, from, fmt.Errorf("decode record %s: %w", wire.StoredSubject(m), err)
		}
		found = append(found, r)
	}
	if !wire.Truncated(ms) {
		return found, before, nil
	}
	return found, next + 1, nil
}

// Carry writes copies of records at the end of the log, of those that are their deliveries' newest, and returns how many.
func (h *Log) Carry(ctx context.Context, records []StoredRecord) (copied uint64, err error) {
	if len(records) == 0 {
		return 0, nil
	}
	newest, err := h.Newest(ctx, records, math.MaxUint64)
	if err != nil {
		return 0, err
	}
	answers := make(chan error, len(records))
	sent := 0
	for i, r := range records {
		if newest[i] {
			sent++
			h.carry(r, answers)
		}
	}
	for range sent {
		select {
		case err := <-answers:
			switch {
			case err == nil:
				copied++
			case !errors.Is(err, wire.ErrConflict): // else it has gone on, or another process was faster
				return copied, fmt.Errorf("copy records of pending deliveries: %w", err)
			}
		case <-ctx.Done():
			return copied, fmt.Errorf("copy records of pending deliveries: %w", ctx.Err())
		}
	}
	return copied, nil
}

func (h *Log) carry(r StoredRecord, answers chan<- error) {
	rec := r.Record
	if rec.Carried == nil {
		rec.Carried = &r.Time
	}
	m, err := messageAfter(rec, r.Sequence, "carried")
	if err != nil {
		answers <- err
		return
	}
	h.k.Put(&wire.Post{Msg: m, Since: time.Now(), Done: func(_ wire.Receipt, err error) { answers <- err }})
}
