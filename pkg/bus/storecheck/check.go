package storecheck

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bus/internal/names"
	"github.com/outbound-events/outbound/pkg/bus/internal/wire"
	"github.com/outbound-events/outbound/pkg/bus/storefile"
)

// Finding is something that the store has lost.
type Finding struct {
	Stream string
	// Text names the stream and what it lost.
	Text string
	// Missing says that the stream is not there at all.
	Missing bool
	// Lost are sequences of messages that are gone.
	Lost []storefile.Range
	// fewer says that the stream has come as far as it had, with fewer messages.
	fewer bool
}

// Range is sequences of a stream.
type Range = storefile.Range

// Check compares the store with the inventory, nil if there is none, and the streams with each other.
func Check(ctx context.Context, c *wire.Conn, known *Inventory) ([]Finding, error) {
	have, err := states(ctx, c)
	if err != nil {
		return nil, err
	}
	out, err := unlessForgotten(ctx, c, compare(have, known))
	if err != nil {
		return nil, err
	}
	if s, there := have[names.StreamEvents]; there && known != nil && s.Last >= known.Streams[names.StreamEvents].Last {
		out = append(out, cutHead(s, known.Streams[names.StreamEvents], time.Now())...)
	}
	last, err := lastEvent(ctx, c, have)
	if err != nil {
		return nil, err
	}
	// The end of EVENTS is read after what knows of it: others may go on publishing meanwhile.
	if s, there := have[names.StreamEvents]; there {
		stream, err := c.JS.Stream(ctx, names.StreamEvents)
		if err != nil {
			return nil, fmt.Errorf("look up stream %s: %w", names.StreamEvents, err)
		}
		s.Last = max(s.Last, stream.CachedInfo().State.LastSeq)
		have[names.StreamEvents] = s
	}
	out = cutEnd(out, have, last)
	for _, stream := range []string{names.StreamEvents, names.StreamHistory, names.StreamAudit} {
		holes, err := findHoles(ctx, c, stream, have[stream], known)
		if err != nil {
			return nil, err
		}
		out = append(out, holes...)
	}
	return out, nil
}

// compare finds what the inventory tells of and the streams do not hold. It is pure.
func compare(have map[string]state, known *Inventory) (out []Finding) {
	used := known != nil
	for name, s := range have {
		used = used || name == names.StreamEvents || s.Last > 0
	}
	for _, name := range wire.StreamNames() {
		s, there := have[name]
		var was Mark
		if known != nil {
			was = known.Streams[name]
		}
		if !there && names.LaterStream(name) && !knows(known, name) {
			continue
		}
		if !there && used {
			f := Finding{Stream: name, Text: title(name) + " is missing", Missing: true}
			if was.Messages > 0 {
				f.Text += fmt.Sprintf(" (it held %d messages, %d to %d)", was.Messages, was.First, was.Last)
			}
			if name == names.StreamEvents && was.Last >= was.First && was.Last > 0 {
				f.Lost = []Range{{First: max(was.First, 1), Last: was.Last}}
			}
			out = append(out, f)
		}
		if there && known != nil {
			out = append(out, shorter(name, s, was)...)
		}
	}
	return out
}

// knows reports whether an inventory tells of a stream.
func knows(known *Inventory, name string) bool {
	if known == nil {
		return false
	}
	_, ok := known.Streams[name]
	return ok
}

// eventsAge is from when on EVENTS may have dropped a message by its age.
const eventsAge = wire.EventsKept - time.Hour

// filling is the part of EVENTS that is used before ingest purges, less a margin.
const filling = 0.6

// cutHead finds that EVENTS has lost its beginning. It drops messages there by itself only when they are old, and ingest when it is
// filling.
func cutHead(s state, was Mark, now time.Time) []Finding {
	if was.Messages == 0 || s.First <= was.First || was.Used >= filling || s.Used >= filling || now.Sub(was.FirstTime) >= eventsAge {
		return nil
	}
	r := Range{First: was.First, Last: min(s.First-1, was.Last)}
	return []Finding{{Stream: names.StreamEvents, Lost: []Range{r}, Text: fmt.Sprintf(
		"%s begins at message %d, but had begun at %d: %d messages are gone", title(names.StreamEvents), s.First, was.First, r.Len())}}
}

// shorter finds that a stream has come less far than it had.
func shorter(name string, s state, was Mark) []Finding {
	switch {
	case s.Last < was.Last:
		r := Range{First: s.Last + 1, Last: was.Last}
		return []Finding{{Stream: name, Lost: []Range{r}, Text: fmt.Sprintf(
			"%s ends at message %d, but had come to %d: up to %d messages are gone", title(name), s.Last, was.Last, r.Len())}}
	case s.Last == was.Last && s.Messages < was.Messages && keepsAll(name):
		return []Finding{{Stream: name, fewer: true, Text: fmt.Sprintf("%s has %d entries, but had %d", title(name), s.Messages,
			was.Messages)}}
	}
	return nil
}

// keepsAll reports whether a stream loses no message but by a later one.
func keepsAll(name string) bool {
	return name == wire.BucketStream(names.BucketRecipients) || name == wire.BucketStream(names.BucketSettings)
}

// cutEnd finds that EVENTS ends before what other streams know of it.
func cutEnd(out []Finding, have map[string]state, last uint64) []Finding {
	s, there := have[names.StreamEvents]
	first := s.Last + 1
	if !there {
		first = 1
	}
	if first > last {
		return out
	}
	for i, f := range out {
		if f.Stream != names.StreamEvents {
			continue
		}
		switch {
		case len(f.Lost) == 0:
			out[i].Lost = []Range{{First: first, Last: last}}
		case f.Lost[0].First == first || f.Missing:
			out[i].Lost[0].Last = max(f.Lost[0].Last, last)
		default:
			continue
		}
		return out
	}
	return append(out, Finding{Stream: names.StreamEvents, Lost: []Range{{First: first, Last: last}},
		Text: fmt.Sprintf("%s ends at message %d, but other streams know of message %d: up to %d messages are gone",
			title(names.StreamEvents), s.Last, last, last-s.Last)})
}

// findHoles finds messages that are missing inside of a stream from which none is ever deleted.
func findHoles(ctx context.Context, c *wire.Conn, stream string, s state, known *Inventory) ([]Finding, error) {
	given := uint64(0)
	if known != nil {
		given = known.Streams[stream].Holes
	}
	if uint64(max(s.deleted, 0)) <= given {
		return nil, nil
	}
	deleted, err := deletedOf(ctx, c, stream)
	if err != nil {
		return nil, err
	}
	return []Finding{{Stream: stream, Lost: deleted,
		Text: fmt.Sprintf("%s lacks %d messages between %d and %d", title(stream), s.deleted, s.First, s.Last)}}, nil
}

// tail is how many records of HISTORY are read to learn how far EVENTS had come. Records are written in about the order of the events.
const tail = 2_000

// lastEvent is the highest sequence of EVENTS that other streams know of.
func lastEvent(ctx context.Context, c *wire.Conn, have map[string]state) (last uint64, err error) {
	if h, ok := have[names.StreamHistory]; ok && h.Messages > 0 {
		from := h.First
		if h.Last > tail {
			from = max(from, h.Last-tail)
		}
		err = eachRecord(ctx, c, from, func(r record) { last = max(last, r.Sequence) })
		if err != nil {
			return 0, err
		}
	}
	if _, ok := have[wire.BucketStream(names.BucketStatus)]; ok {
		marks, err := control.New(c).IntakeMarks(ctx)
		if err != nil {
			return 0, err
		}
		for _, m := range marks {
			last = max(last, m.Sequence)
		}
	}
	if _, ok := have[names.StreamEvents]; ok {
		reached, err := control.New(c).Reached(ctx)
		if err != nil {
			return 0, err
		}
		last = max(last, reached)
	}
	return last, nil
}

// record is a line of HISTORY, as far as a repair reads it.
type record struct {
	at       uint64
	subject  string
	raw      []byte
	Sequence uint64 `json:"sequence"`
}

// batch is how many records are read by one request.
const batch = 1_000

// eachRecord calls visit with each record of HISTORY from a sequence on.
func eachRecord(ctx context.Context, c *wire.Conn, from uint64, visit func(record)) error {
	for {
		ms, err := c.Direct(ctx, names.StreamHistory, wire.DirectRequest{Sequence: max(from, 1), NextFor: ">", Batch: batch})
		if err != nil {
			return fmt.Errorf("read the log: %w", err)
		}
		if len(ms) == 0 {
			return nil
		}
		for _, m := range ms {
			r := record{at: wire.StoredSequence(m), subject: wire.StoredSubject(m), raw: m.Data}
			_ = json.Unmarshal(m.Data, &r) // a record that can't be read tells nothing
			visit(r)
		}
		from = wire.StoredSequence(ms[len(ms)-1]) + 1
	}
}

// unlessForgotten leaves out that a bucket has fewer entries while values are removed on purpose.
func unlessForgotten(ctx context.Context, c *wire.Conn, found []Finding) ([]Finding, error) {
	fewer := func(f Finding) bool { return f.fewer }
	if !slices.ContainsFunc(found, fewer) {
		return found, nil
	}
	if on, err := forgetting(ctx, c); err != nil || !on {
		return found, err
	}
	return slices.DeleteFunc(found, fewer), nil
}
