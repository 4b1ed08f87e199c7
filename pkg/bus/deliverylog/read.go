package deliverylog

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/outbound-events/outbound/pkg/bus/internal/names"
	"github.com/outbound-events/outbound/pkg/bus/internal/wire"
	"github.com/outbound-events/outbound/pkg/delivery"
)

// Newest says of each record whether it is the newest of its delivery as of a sequence.
func (h *Reader) Newest(ctx context.Context, records []StoredRecord, until uint64) ([]bool, error) {
	newest := map[string]uint64{}
	for part := range slices.Chunk(records, keysAtOnce) {
		filters := make([]string, 0, len(part))
		for _, r := range part {
			filters = append(filters, r.filter().Subject())
		}
		slices.Sort(filters)
		ms, err := h.conn.Direct(ctx, names.StreamHistory, wire.DirectRequest{MultiLast: slices.Compact(filters)})
		if err != nil {
			return nil, fmt.Errorf("read newer records: %w", err)
		}
		for _, m := range ms {
			if wire.StoredSequence(m) > until {
				if m, err = h.asOf(ctx, wire.StoredSubject(m), until); err != nil {
					return nil, fmt.Errorf("read newer records: %w", err)
				}
			}
			if m != nil {
				of := withoutState(wire.StoredSubject(m))
				newest[of] = max(newest[of], wire.StoredSequence(m))
			}
		}
	}
	out := make([]bool, len(records))
	for i, r := range records {
		out[i] = newest[withoutState(r.filter().Subject())] == r.Sequence
	}
	return out, nil
}

// keysAtOnce is how many deliveries are looked up by one request: with seven states each it stays within the broker's 1,024.
const keysAtOnce = 100

// withoutState is what the subjects of one delivery's records have in common.
func withoutState(subject string) string {
	tokens := strings.Split(subject, ".")
	tokens[tokenState] = "*"
	return strings.Join(tokens, ".")
}

// AttemptsOf are all records of one delivery, oldest first; eventID is within the appliance. A copy of a record is among them only if
// the record itself is gone, and has its time.
func (h *Reader) AttemptsOf(ctx context.Context, r delivery.Record) ([]StoredRecord, error) {
	one := StoredRecord{Record: r}
	ms, err := h.conn.Direct(ctx, names.StreamHistory, wire.DirectRequest{MultiLast: []string{one.filter().Subject()}})
	if err != nil {
		return nil, fmt.Errorf("read the records of a delivery: %w", err)
	}
	var out []StoredRecord
	for _, m := range ms {
		for start := uint64(1); ; {
			of, err := h.conn.Direct(ctx, names.StreamHistory, wire.DirectRequest{Sequence: start, NextFor: wire.StoredSubject(m), Batch: batchSize})
			if err != nil {
				return nil, fmt.Errorf("read the records of a delivery: %w", err)
			}
			if len(of) == 0 {
				break
			}
			for _, x := range of {
				rec, _, err := AttemptFilter{}.decode(x)
				if err != nil {
					return nil, err
				}
				out = append(out, rec)
			}
			start = wire.StoredSequence(of[len(of)-1]) + 1
		}
	}
	slices.SortFunc(out, func(a, b StoredRecord) int { return int(int64(a.Sequence - b.Sequence)) })
	return withoutCopies(out), nil
}

// withoutCopies leaves out copies of records that are there. Nothing stands between a record and its copy; one without the record before
// it stands in its place.
func withoutCopies(records []StoredRecord) []StoredRecord {
	if len(records) > 0 && records[0].Carried != nil {
		records[0].Time = *records[0].Carried
	}
	return slices.DeleteFunc(records, func(r StoredRecord) bool { return r.Carried != nil && r.Sequence != records[0].Sequence })
}

// Behind tells the records behind a sequence that a filter matches, in the order of the log, and returns the last sequence that
// was looked at. Copies are left out: they are no news.
func (h *Reader) Behind(ctx context.Context, f AttemptFilter, after uint64, tell func(StoredRecord)) (uint64, error) {
	for {
		ms, err := h.conn.Direct(ctx, names.StreamHistory, wire.DirectRequest{Sequence: after + 1, Batch: batchSize})
		if err != nil || len(ms) == 0 {
			return after, err
		}
		for _, m := range ms {
			after = wire.StoredSequence(m)
			if _, ours := f.files(wire.StoredSubject(m)); !ours {
				continue
			}
			r, ok, err := f.decode(m)
			if err != nil {
				return after, err
			}
			if ok && r.Carried == nil {
				tell(r)
			}
		}
		if len(ms) < batchSize {
			return after, nil
		}
	}
}

// LastSequence is the last sequence of HISTORY.
func (h *Reader) LastSequence(ctx context.Context) (uint64, error) {
	s, err := h.conn.JS.Stream(ctx, names.StreamHistory)
	if err != nil {
		return 0, fmt.Errorf("read the end of the log: %w", err)
	}
	return s.CachedInfo().State.LastSeq, nil
}

// SequenceAt is the first sequence of HISTORY that was stored at a time or later; ok is false if there is none.
func (h *Reader) SequenceAt(ctx context.Context, t time.Time) (sequence uint64, ok bool, err error) {
	return h.conn.SequenceAt(ctx, names.StreamHistory, t)
}
