package bus

import (
	"context"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go"

	"github.com/outbound-events/outbound/pkg/event"
)

const (
	// recentBatch is how many events are read at once.
	recentBatch = 200
	// maxLookedAt bounds how many events are read in all when several types are asked for.
	maxLookedAt = 20_000
)

// RecentEvents calls visit for the newest events that are still stored, newest first, at most limit; replays are left out. Types
// narrows them; empty: all. Events of several types are looked for among the last 20,000 at most; one type is found wherever
// it is.
func (l *EventLog) RecentEvents(ctx context.Context, types []string, limit int, visit func(*event.Event)) error {
	s, err := l.conn.js.Stream(ctx, StreamEvents)
	if err != nil {
		return fmt.Errorf("look up stream %s: %w", StreamEvents, err)
	}
	kind := "*"
	if len(types) == 1 {
		kind = types[0]
	}
	r := recent{conn: l.conn, stream: StreamEvents, filter: eventSubject("*", kind), first: s.CachedInfo().State.FirstSeq, end: s.CachedInfo().State.LastSeq, size: recentBatch / 2}
	for looked := 0; limit > 0 && looked < maxLookedAt; {
		ms, more, err := r.older(ctx)
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

// recent reads a stream from its end by windows of sequences. A window that holds more than one answer is halved, one that holds
// little is followed by a larger one.
type recent struct {
	conn       *Conn
	stream     string
	filter     string
	first, end uint64
	size       uint64
}

// older is the next window's messages, oldest first; more is false if there was none left.
func (r *recent) older(ctx context.Context) (ms []*nats.Msg, more bool, err error) {
	for r.end > 0 && r.end >= r.first {
		start := r.first
		if r.end-r.first >= r.size {
			start = r.end - r.size + 1
		}
		ms, err := r.conn.direct(ctx, r.stream, directRequest{Sequence: max(start, 1), NextFor: r.filter, Batch: recentBatch})
		if err != nil {
			return nil, false, err
		}
		if cut(ms) && storedSequence(ms[len(ms)-1]) < r.end && r.end > start {
			r.size = max((r.end-start+1)/2, 1)
			continue
		}
		ms = slices.DeleteFunc(ms, func(m *nats.Msg) bool { return storedSequence(m) > r.end })
		r.end = start - 1
		if len(ms) < recentBatch/4 {
			r.size *= 8
		}
		return ms, true, nil
	}
	return nil, false, nil
}

// cut reports whether a batch ended before its messages did: at its number, or at the broker's own bound of bytes.
func cut(ms []*nats.Msg) bool {
	return len(ms) > 0 && ms[len(ms)-1].Header.Get("Nats-Num-Pending") != "0"
}
