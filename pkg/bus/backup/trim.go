package backup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/outbound-events/outbound/pkg/bus/checkpoints"
	"github.com/outbound-events/outbound/pkg/bus/internal/names"
	"github.com/outbound-events/outbound/pkg/bus/internal/wire"
)

// trimBatch is how many records are read at once.
const trimBatch = 500

// trim removes the records of events that are not in the backup, and returns how many. They were accepted while it was taken.
func (r *restorer) trim(ctx context.Context) (int, error) {
	if r.o.ConfigurationOnly || !r.file.Deliveries {
		return 0, nil
	}
	s, err := r.conn.JS.Stream(ctx, names.StreamHistory)
	if err != nil {
		return 0, fmt.Errorf("look up stream %s: %w", names.StreamHistory, err)
	}
	removed, err := r.trimFrom(ctx, s)
	if removed > 0 {
		// They are not missing for a verification of the log.
		err = errors.Join(err, checkpoints.New(r.conn).NoteTrim(ctx, checkpoints.Trim{From: r.file.HistorySequence + 1,
			To: s.CachedInfo().State.LastSeq, Count: removed, Time: r.conn.Now().UTC()}))
	}
	return removed, err
}

func (r *restorer) trimFrom(ctx context.Context, s jetstream.Stream) (int, error) {
	removed := 0
	for next := r.file.HistorySequence + 1; ; {
		ms, err := r.conn.Direct(ctx, names.StreamHistory, wire.DirectRequest{Sequence: next, NextFor: ">", Batch: trimBatch})
		if err != nil {
			return removed, fmt.Errorf("look for records of events that are not in the backup: %w", err)
		}
		if len(ms) == 0 {
			return removed, nil
		}
		for _, m := range ms {
			next = wire.StoredSequence(m) + 1
			var of struct {
				Sequence uint64 `json:"sequence"`
			}
			if json.Unmarshal(m.Data, &of) != nil || of.Sequence <= r.file.EventsSequence {
				continue
			}
			if err := s.DeleteMsg(ctx, next-1); err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
				return removed, fmt.Errorf("remove the record of an event that is not in the backup: %w", err)
			}
			removed++
		}
	}
}
