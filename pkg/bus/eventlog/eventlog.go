package eventlog

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/outbound-events/outbound/pkg/bus/internal/names"
	"github.com/outbound-events/outbound/pkg/bus/internal/wire"
	"github.com/outbound-events/outbound/pkg/event"
)

// Log reads EVENTS: accepted events, replays and tests that are still stored.
type Log struct {
	conn *wire.Conn
}

// New reads through a connection.
func New(c *wire.Conn) *Log { return &Log{conn: c} }

// LastSequence is the last sequence of EVENTS. What is up to it is on disk as far as it is this process that syncs, so that it may be
// stored elsewhere.
func (l *Log) LastSequence(ctx context.Context) (uint64, error) {
	s, err := l.conn.JS.Stream(ctx, names.StreamEvents)
	if err != nil {
		return 0, fmt.Errorf("look up stream %s: %w", names.StreamEvents, err)
	}
	last := s.CachedInfo().State.LastSeq
	if err := l.conn.Synced(names.StreamEvents, last); err != nil {
		return 0, fmt.Errorf("read the end of stream %s: %w", names.StreamEvents, err)
	}
	return last, nil
}

// StoredEvent reads an event back, or ErrNotFound.
func (l *Log) StoredEvent(ctx context.Context, sequence uint64) (*event.Event, error) {
	ms, err := l.conn.Direct(ctx, names.StreamEvents, wire.DirectRequest{Sequence: sequence})
	if err != nil {
		return nil, err
	}
	if len(ms) == 0 {
		return nil, fmt.Errorf("read event at sequence %d: %w", sequence, wire.ErrNotFound)
	}
	e, violations := event.Decode(ms[0].Data)
	if len(violations) > 0 {
		return nil, fmt.Errorf("decode event at sequence %d: %w", sequence, violations)
	}
	return e, nil
}

// EventSequenceAt is the first sequence of EVENTS that was stored at a time or later; ok is false if there is none.
func (l *Log) EventSequenceAt(ctx context.Context, t time.Time) (sequence uint64, ok bool, err error) {
	return l.conn.SequenceAt(ctx, names.StreamEvents, t)
}

// RecentEvents calls visit for the newest events that are still stored, newest first, at most limit; replays are left out. Types
// narrows them; empty: all. Events of several types are looked for among the last 20,000 at most; one type is found wherever
// it is.
func (l *Log) RecentEvents(ctx context.Context, types []string, limit int, visit func(*event.Event)) error {
	s, err := l.conn.JS.Stream(ctx, names.StreamEvents)
	if err != nil {
		return fmt.Errorf("look up stream %s: %w", names.StreamEvents, err)
	}
	kind := "*"
	if len(types) == 1 {
		kind = types[0]
	}
	r := wire.NewBackward(l.conn, names.StreamEvents, names.EventSubject("*", kind), s.CachedInfo().State)
	for looked := 0; limit > 0 && looked < maxLookedAt; {
		ms, more, err := r.Older(ctx)
		if err != nil {
			return fmt.Errorf("read the last events: %w", err)
		}
		if !more {
			return nil
		}
		looked += len(ms)
		for _, m := range slices.Backward(ms) {
			e, faults := event.Decode(m.Data)
			if len(faults) > 0 || limit == 0 || len(types) > 0 && !slices.Contains(types, e.Type) {
				continue
			}
			visit(e)
			limit--
		}
	}
	return nil
}

// maxLookedAt bounds how many events are read in all when several types are asked for.
const maxLookedAt = 20_000

// StoredEvent is an event where it stands in EVENTS.
type StoredEvent struct {
	Sequence uint64
	Time     time.Time
	*event.Event
}

// EventsFrom reads accepted events, replays left out, from a sequence of EVENTS on, in the order of the stream, at most limit. A
// type narrows them; empty: all. What can't be read is left out, so that only next tells where to go on; 0: there are no more.
func (l *Log) EventsFrom(ctx context.Context, eventType string, from uint64, limit int) (found []StoredEvent, next uint64, err error) {
	ms, err := l.conn.Direct(ctx, names.StreamEvents,
		wire.DirectRequest{Sequence: max(from, 1), NextFor: names.EventSubject("*", names.OrWildcard(eventType)), Batch: limit})
	if err != nil || len(ms) == 0 {
		return nil, 0, err
	}
	for _, m := range ms {
		if e, faults := event.Decode(m.Data); len(faults) == 0 {
			found = append(found, StoredEvent{Sequence: wire.StoredSequence(m), Time: wire.StoredTime(m), Event: e})
		}
	}
	return found, wire.StoredSequence(ms[len(ms)-1]) + 1, nil
}

// replayedAtOnce is how many replays are read back at once.
const replayedAtOnce = 500

// Replayed calls visit with the delivery key of each message of a replay that EVENTS holds from a sequence on.
func (l *Log) Replayed(ctx context.Context, replayID string, from uint64, visit func(key string)) error {
	for {
		ms, err := l.conn.Direct(ctx, names.StreamEvents,
			wire.DirectRequest{Sequence: max(from, 1), NextFor: names.SubjectReplay + ".*", Batch: replayedAtOnce})
		if err != nil {
			return fmt.Errorf("read replay %s: %w", replayID, err)
		}
		if len(ms) == 0 {
			return nil
		}
		for _, m := range ms {
			if m.Header.Get(names.HeaderReplay) == replayID {
				visit(m.Header.Get(names.HeaderMsgID))
			}
		}
		from = wire.StoredSequence(ms[len(ms)-1]) + 1
	}
}

// ReplaysTo calls visit with the event's key and the replay's id of each replay or test to a recipient that EVENTS holds.
func (l *Log) ReplaysTo(ctx context.Context, recipientID string, visit func(eventKey, replayID string)) error {
	for from := uint64(1); ; {
		ms, err := l.conn.Direct(ctx, names.StreamEvents,
			wire.DirectRequest{Sequence: from, NextFor: names.SubjectReplay + "." + recipientID, Batch: replayedAtOnce})
		if err != nil {
			return fmt.Errorf("read the replays to %s: %w", recipientID, err)
		}
		if len(ms) == 0 {
			return nil
		}
		for _, m := range ms {
			id := m.Header.Get(names.HeaderReplay)
			key := strings.TrimSuffix(strings.TrimPrefix(m.Header.Get(names.HeaderMsgID), recipientID+"/"), "~"+id)
			visit(key, id)
		}
		from = wire.StoredSequence(ms[len(ms)-1]) + 1
	}
}
