package deliverylog

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/outbound-events/outbound/pkg/bus/eventlog"
	"github.com/outbound-events/outbound/pkg/bus/internal/names"
	"github.com/outbound-events/outbound/pkg/bus/internal/wire"
	"github.com/outbound-events/outbound/pkg/event"
)

// recoveredAtOnce is how many acceptances are asked for by one request.
const recoveredAtOnce = 100

// Unrecorded looks at the next accepted events from a sequence of EVENTS on, replays left out, a hundred at most, and finds those whose
// acceptance has no record. next is where to go on; 0: there are no more.
func (h *Reader) Unrecorded(ctx context.Context, from uint64) (missing []eventlog.StoredEvent, next uint64, err error) {
	events, next, err := eventlog.New(h.conn).EventsFrom(ctx, "", from, recoveredAtOnce)
	if err != nil || len(events) == 0 {
		return nil, next, err
	}
	subjects := make([]string, 0, len(events))
	for _, e := range events {
		subjects = append(subjects, acceptanceSubject(e.Appliance, e.ID))
	}
	slices.Sort(subjects)
	ms, err := h.conn.Direct(ctx, names.StreamHistory, wire.DirectRequest{MultiLast: slices.Compact(subjects)})
	if err != nil {
		return nil, from, fmt.Errorf("read the intake records: %w", err)
	}
	recorded := make(map[string]uint64, len(ms))
	for _, m := range ms {
		var rec event.IntakeRecord
		if err := json.Unmarshal(m.Data, &rec); err != nil {
			return nil, from, fmt.Errorf("decode record %s: %w", wire.StoredSubject(m), err)
		}
		recorded[wire.StoredSubject(m)] = rec.Sequence
	}
	for _, e := range events {
		// An id may be accepted anew after days: a later record tells of it, an earlier one does not.
		if recorded[acceptanceSubject(e.Appliance, e.ID)] < e.Sequence {
			missing = append(missing, e)
		}
	}
	return missing, next, nil
}

// acceptanceSubject is where the record of an event's acceptance stands.
func acceptanceSubject(appliance, eventID string) string {
	return strings.Join([]string{names.SubjectIntake, appliance, "accepted", eventID}, ".")
}

// KeptSince is when the oldest record of the log was stored, if the log has dropped older ones; ok is false if it has not.
func (h *Reader) KeptSince(ctx context.Context) (since time.Time, ok bool, err error) {
	s, err := h.conn.JS.Stream(ctx, names.StreamHistory)
	if err != nil {
		return time.Time{}, false, fmt.Errorf("look up stream %s: %w", names.StreamHistory, err)
	}
	state := s.CachedInfo().State
	return state.FirstTime, state.FirstSeq > 1 && state.Msgs > 0, nil
}
