package history

import (
	"context"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/event"
)

// walk goes through the log from its newest record to its oldest and picks the latest record of each delivery.
type walk struct {
	log    *bus.History
	filter bus.AttemptFilter
	// only is the event id that records must have; empty: any.
	only string
	// until is the last sequence that exists for this walk.
	until   uint64
	maxScan int
}

// lookAhead is how many records are asked for at once, beside those of the page: most deliveries have one or two.
const lookAhead = 100

// page picks at most size records before a sequence. The second result is where the next page begins; 0: there are no more.
func (w *walk) page(ctx context.Context, before uint64, size int) ([]bus.StoredRecord, uint64, error) {
	var out []bus.StoredRecord
	seen := map[string]bool{}
	for scanned := 0; before > 1 && scanned < w.maxScan; {
		ask := size - len(out) + lookAhead
		records, err := w.log.Attempts(ctx, w.filter, before, ask)
		if err != nil {
			return nil, 0, err
		}
		for _, r := range records {
			if len(out) == size {
				return out, before, nil
			}
			before = r.Sequence
			picked, err := w.pick(ctx, r, seen)
			if err != nil {
				return nil, 0, err
			}
			if picked {
				out = append(out, r)
			}
		}
		scanned += len(records)
		if len(records) < ask {
			return out, 0, nil
		}
	}
	if before <= 1 {
		before = 0
	}
	return out, before, nil
}

// pick reports whether a record is the latest of its delivery, as of the beginning of the walk.
func (w *walk) pick(ctx context.Context, r bus.StoredRecord, seen map[string]bool) (bool, error) {
	key := delivery.Key(r.Recipient, event.Key(r.Appliance, r.EventID), r.ReplayID)
	if w.only != "" && r.EventID != w.only || seen[key] {
		return false, nil
	}
	seen[key] = true
	exact := bus.AttemptFilter{
		Recipient: r.Recipient, Type: r.Type, Session: r.Session, ExternalKey: r.ExternalKey, Appliance: r.Appliance,
		EventID: logID(r.EventID, r.ReplayID),
	}
	latest, err := w.log.Attempts(ctx, exact, w.until+1, 1)
	if err != nil {
		return false, err
	}
	return len(latest) == 1 && latest[0].Sequence == r.Sequence, nil
}

// logID is a delivery's event id as the log files it: a replay's has the replay's id behind a tilde.
func logID(eventID, replayID string) string {
	if replayID == "" {
		return eventID
	}
	return eventID + "~" + replayID
}
