package wire

import (
	"context"
	"slices"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// recentBatch is how many events are read at once.
	recentBatch = 200
)

// Backward reads a stream from its end by windows of sequences. A window that holds more than one answer is halved, one that holds
// little is followed by a larger one.
type Backward struct {
	conn       *Conn
	stream     string
	filter     string
	first, end uint64
	size       uint64
}

// NewBackward begins at the end of a stream, with what filter matches.
func NewBackward(c *Conn, stream, filter string, state jetstream.StreamState) *Backward {
	return &Backward{conn: c, stream: stream, filter: filter, first: state.FirstSeq, end: state.LastSeq, size: recentBatch / 2}
}

// before leaves out what stands at a sequence or behind it.
func (r *Backward) before(sequence uint64) { r.end = min(r.end, sequence-1) }

// Older is the next window's messages, oldest first; more is false if there was none left.
func (r *Backward) Older(ctx context.Context) (ms []*nats.Msg, more bool, err error) {
	for r.end > 0 && r.end >= r.first {
		start := r.first
		if r.end-r.first >= r.size {
			start = r.end - r.size + 1
		}
		ms, err := r.conn.Direct(ctx, r.stream, DirectRequest{Sequence: max(start, 1), NextFor: r.filter, Batch: recentBatch})
		if err != nil {
			return nil, false, err
		}
		if Truncated(ms) && StoredSequence(ms[len(ms)-1]) < r.end && r.end > start {
			r.size = max((r.end-start+1)/2, 1)
			continue
		}
		ms = slices.DeleteFunc(ms, func(m *nats.Msg) bool { return StoredSequence(m) > r.end })
		r.end = start - 1
		if len(ms) < recentBatch/4 {
			r.size *= 8
		}
		return ms, true, nil
	}
	return nil, false, nil
}

// Truncated reports whether a batch ended before its messages did: at its number, or at the broker's own bound of bytes.
func Truncated(ms []*nats.Msg) bool {
	return len(ms) > 0 && ms[len(ms)-1].Header.Get("Nats-Num-Pending") != "0"
}
