package deliverylog

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go"

	"github.com/outbound-events/outbound/pkg/bus/internal/names"
	"github.com/outbound-events/outbound/pkg/bus/internal/wire"
	"github.com/outbound-events/outbound/pkg/delivery"
)

// AttemptsFrom lists records oldest first, from a sequence of HISTORY to another, at most limit of them. It goes on behind the
// last one's sequence. Records of the states given, or of any if there is none.
func (h *Reader) AttemptsFrom(ctx context.Context, f AttemptFilter, states []delivery.State, from, until uint64,
	limit int) ([]StoredRecord, error) {
	if len(states) == 0 {
		states = []delivery.State{""}
	}
	var all []*nats.Msg
	end := until
	for _, s := range states {
		f.State = s
		ms, err := h.conn.Direct(ctx, names.StreamHistory, wire.DirectRequest{Sequence: max(from, 1), NextFor: f.subjects()[0], Batch: limit})
		if err != nil {
			return nil, fmt.Errorf("search attempts: %w", err)
		}
		if len(ms) > 0 {
			// A short answer may have been cut by the broker's own bound, so nothing is known of what lies behind it.
			end = min(end, h.knownThrough(ms, limit, until))
		}
		all = append(all, ms...)
	}
	slices.SortFunc(all, func(a, b *nats.Msg) int { return int(int64(wire.StoredSequence(a) - wire.StoredSequence(b))) })
	var out []StoredRecord
	for _, m := range all {
		r := StoredRecord{Sequence: wire.StoredSequence(m), Time: wire.StoredTime(m)}
		if r.Sequence > end || len(out) == limit {
			break
		}
		if err := json.Unmarshal(m.Data, &r.Record); err != nil {
			return nil, fmt.Errorf("decode record %s: %w", m.Subject, err)
		}
		out = append(out, r)
	}
	return out, nil
}

// knownThrough is the last sequence up to which an answer in batches is complete.
func (h *Reader) knownThrough(ms []*nats.Msg, limit int, until uint64) uint64 {
	last := ms[len(ms)-1]
	if len(ms) < limit && last.Header.Get("Nats-Num-Pending") == "0" {
		return until
	}
	return wire.StoredSequence(last)
}
