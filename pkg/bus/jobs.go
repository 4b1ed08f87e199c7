package bus

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/event"
)

// replaysKept is how long a replay is kept after it was last written.
const replaysKept = 30 * 24 * time.Hour

// EventsKept is how long EVENTS keeps a message at most.
const EventsKept = eventsMaxAge

// StoredEvent is an event where it stands in EVENTS.
type StoredEvent struct {
	Sequence uint64
	Time     time.Time
	*event.Event
}

// EventsFrom reads accepted events, replays left out, from a sequence of EVENTS on, in the order of the stream, at most limit. A
// type narrows them; empty: all. What can't be read is left out, so that only next tells where to go on; 0: there are no more.
func (c *Conn) EventsFrom(ctx context.Context, eventType string, from uint64, limit int) (found []StoredEvent, next uint64, err error) {
	ms, err := c.direct(ctx, StreamEvents, directRequest{Sequence: max(from, 1), NextFor: eventSubject("*", wild(eventType)), Batch: limit})
	if err != nil || len(ms) == 0 {
		return nil, 0, err
	}
	for _, m := range ms {
		if e, faults := event.Decode(m.Data); len(faults) == 0 {
			found = append(found, StoredEvent{Sequence: storedSequence(m), Time: storedTime(m), Event: e})
		}
	}
	return found, storedSequence(ms[len(ms)-1]) + 1, nil
}

// replayedAtOnce is how many replays are read back at once.
const replayedAtOnce = 500

// Replayed calls visit with the delivery key of each message of a replay that EVENTS holds from a sequence on.
func (c *Conn) Replayed(ctx context.Context, replayID string, from uint64, visit func(key string)) error {
	for {
		ms, err := c.direct(ctx, StreamEvents, directRequest{Sequence: max(from, 1), NextFor: subjectReplay + ".*", Batch: replayedAtOnce})
		if err != nil {
			return fmt.Errorf("read replay %s: %w", replayID, err)
		}
		if len(ms) == 0 {
			return nil
		}
		for _, m := range ms {
			if m.Header.Get(headerReplay) == replayID {
				visit(m.Header.Get(headerMsgID))
			}
		}
		from = storedSequence(ms[len(ms)-1]) + 1
	}
}

// ReplaysTo calls visit with the event's key and the replay's id of each replay or test to a recipient that EVENTS holds.
func (c *Conn) ReplaysTo(ctx context.Context, recipientID string, visit func(eventKey, replayID string)) error {
	for from := uint64(1); ; {
		ms, err := c.direct(ctx, StreamEvents, directRequest{Sequence: from, NextFor: subjectReplay + "." + recipientID, Batch: replayedAtOnce})
		if err != nil {
			return fmt.Errorf("read the replays to %s: %w", recipientID, err)
		}
		if len(ms) == 0 {
			return nil
		}
		for _, m := range ms {
			id := m.Header.Get(headerReplay)
			key := strings.TrimSuffix(strings.TrimPrefix(m.Header.Get(headerMsgID), recipientID+"/"), "~"+id)
			visit(key, id)
		}
		from = storedSequence(ms[len(ms)-1]) + 1
	}
}

// AttemptsFrom lists records oldest first, from a sequence of HISTORY to another, at most limit of them. It goes on behind the
// last one's sequence. Records of the states given, or of any if there is none.
func (h *History) AttemptsFrom(ctx context.Context, f AttemptFilter, states []delivery.State, from, until uint64, limit int) ([]StoredRecord, error) {
	if len(states) == 0 {
		states = []delivery.State{""}
	}
	var all []*nats.Msg
	end := until
	for _, s := range states {
		f.State = s
		ms, err := h.conn.direct(ctx, StreamHistory, directRequest{Sequence: max(from, 1), NextFor: f.subjects()[0], Batch: limit})
		if err != nil {
			return nil, fmt.Errorf("search attempts: %w", err)
		}
		if len(ms) > 0 {
			// A short answer may have been cut by the broker's own bound, so nothing is known of what lies behind it.
			end = min(end, h.knownThrough(ms, limit, until))
		}
		all = append(all, ms...)
	}
	slices.SortFunc(all, func(a, b *nats.Msg) int { return int(int64(storedSequence(a) - storedSequence(b))) })
	var out []StoredRecord
	for _, m := range all {
		r := StoredRecord{Sequence: storedSequence(m), Time: storedTime(m)}
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
func (h *History) knownThrough(ms []*nats.Msg, limit int, until uint64) uint64 {
	last := ms[len(ms)-1]
	if len(ms) < limit && last.Header.Get("Nats-Num-Pending") == "0" {
		return until
	}
	return storedSequence(last)
}

// StreamUsage is how full EVENTS is, and what it holds.
type StreamUsage struct {
	Bytes, MaxBytes, First, Last uint64
	// Oldest is when its first message was stored.
	Oldest time.Time
}

// Fill is how full it is, from 0 to 1; 0 if it has no bound.
func (r StreamUsage) Fill() float64 {
	if r.MaxBytes == 0 {
		return 0
	}
	return float64(r.Bytes) / float64(r.MaxBytes)
}

// StreamUsage looks at EVENTS.
func (c *Conn) StreamUsage(ctx context.Context) (StreamUsage, error) {
	s, err := c.js.Stream(ctx, StreamEvents)
	if err != nil {
		return StreamUsage{}, fmt.Errorf("look up stream %s: %w", StreamEvents, err)
	}
	i := s.CachedInfo()
	return StreamUsage{Bytes: i.State.Bytes, MaxBytes: uint64(max(i.Config.MaxBytes, 0)), First: i.State.FirstSeq, Last: i.State.LastSeq, Oldest: i.State.FirstTime}, nil
}
