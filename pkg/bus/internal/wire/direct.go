package wire

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
)

// ErrTooMany says that a multi_last request matches more subjects than the server answers (1,024).
var ErrTooMany = errors.New("too many results")

// DirectRequest is the body of a direct get (ADR-31 of nats-architecture-and-design).
type DirectRequest struct {
	Sequence  uint64     `json:"seq,omitempty"`
	NextFor   string     `json:"next_by_subj,omitempty"`
	LastFor   string     `json:"last_by_subj,omitempty"`
	Batch     int        `json:"batch,omitempty"`
	MultiLast []string   `json:"multi_last,omitempty"`
	UpTo      uint64     `json:"up_to_seq,omitempty"`
	StartTime *time.Time `json:"start_time,omitempty"`
}

// Direct reads messages of a stream without a consumer, in the order of the stream. What is not there is an empty answer. The request is
// repeated while no server responds for the stream. See Again.
func (c *Conn) Direct(ctx context.Context, stream string, r DirectRequest) ([]*nats.Msg, error) {
	body, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	m := &nats.Msg{Subject: "$JS.API.DIRECT.GET." + stream, Data: body}
	read := one
	if r.Batch > 0 || len(r.MultiLast) > 0 {
		room := max(r.Batch, maxMultiLast) + endOfAnswers
		read = func(ctx context.Context, c *Conn, m *nats.Msg) ([]*nats.Msg, error) { return several(ctx, c, m, room) }
	}
	out, err := Again(ctx, c, func(ctx context.Context) ([]*nats.Msg, error) { return read(ctx, c, m) })
	if err != nil && !errors.Is(err, ErrTooMany) {
		return nil, fmt.Errorf("read stream %s: %w", stream, err)
	}
	return out, err
}

// one makes a request with one answer. All of them come over one inbox.
func one(ctx context.Context, c *Conn, request *nats.Msg) ([]*nats.Msg, error) {
	m, err := c.NC.RequestWithContext(ctx, request.Subject, request.Data)
	if err != nil {
		return nil, err
	}
	out, _, err := collect(nil, m)
	return out, err
}

// several makes a request with at most so many answers. The client library's synchronous subscription would make room for 65,536
// messages, half a megabyte for each call.
func several(ctx context.Context, c *Conn, request *nats.Msg, room int) ([]*nats.Msg, error) {
	answers := make(chan *nats.Msg, room)
	inbox := c.NC.NewInbox()
	sub, err := c.NC.ChanSubscribe(inbox, answers)
	if err != nil {
		return nil, err
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := c.NC.PublishRequest(request.Subject, inbox, request.Data); err != nil {
		return nil, err
	}
	var out []*nats.Msg
	for {
		select {
		case m := <-answers:
			var end bool
			if out, end, err = collect(out, m); end || err != nil {
				return out, err
			}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

const (
	// maxMultiLast is how many messages the server answers to a multi_last request at most, endOfAnswers the message after them and one
	// to spare.
	maxMultiLast = 1024
	endOfAnswers = 2
)

// collect takes one answer of a direct get; end: no more come.
func collect(out []*nats.Msg, m *nats.Msg) (all []*nats.Msg, end bool, err error) {
	switch status := m.Header.Get("Status"); status {
	case "":
		return append(out, m), false, nil
	case "204", "404":
		return out, true, nil
	case "413":
		return nil, true, ErrTooMany
	case "503":
		return nil, true, errNoLeader
	default:
		return nil, true, fmt.Errorf("the broker responded with %s %s", status, m.Header.Get("Description"))
	}
}

// StoredSubject is where a message was published; what a direct get answers is itself published to an inbox.
func StoredSubject(m *nats.Msg) string { return m.Header.Get("Nats-Subject") }

// StoredSequence is the sequence of a message that a direct get answered.
func StoredSequence(m *nats.Msg) uint64 {
	n, _ := strconv.ParseUint(m.Header.Get("Nats-Sequence"), 10, 64)
	return n
}

// StoredTime is when it was stored.
func StoredTime(m *nats.Msg) time.Time {
	t, _ := time.Parse(time.RFC3339Nano, m.Header.Get("Nats-Time-Stamp"))
	return t
}

// SequenceAt is the first sequence of a stream that was stored at a time or later; ok is false if there is none.
func (c *Conn) SequenceAt(ctx context.Context, stream string, t time.Time) (uint64, bool, error) {
	ms, err := c.Direct(ctx, stream, DirectRequest{StartTime: &t, Batch: 1})
	if err != nil || len(ms) == 0 {
		return 0, false, err
	}
	return StoredSequence(ms[0]), true, nil
}
