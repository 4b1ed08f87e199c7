package deliverylog

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/outbound-events/outbound/pkg/bus/internal/names"
	"github.com/outbound-events/outbound/pkg/bus/internal/wire"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/event"
)

// lookups looks up the newest records of deliveries, those asked for meanwhile together: a sender that is started on a backlog asks for
// each message of it, and the broker answers a hundred questions about as fast as one.
type lookups struct {
	conn *wire.Conn

	mu      sync.Mutex
	waiting []*lookup
	// asking is how many requests are under way, since is when the last one was sent.
	asking int
	since  time.Time
}

// lookup is one question; what holds for any state of the delivery is its filter.
type lookup struct {
	filter string
	done   chan struct{}
	// found is the newest record, nil if there is none.
	found *nats.Msg
	err   error
}

const (
	// slowAnswer is how long an answer is waited for before the next request is sent beside it: it may have been lost with a
	// connection. Else there is one request at a time, so that as many questions as can be share it.
	slowAnswer = 100 * time.Millisecond
	// maxAsking is how many requests may be under way.
	maxAsking = 16
)

// newest finds the newest record that a filter matches; nil if there is none.
func (l *lookups) newest(ctx context.Context, filter string) (*nats.Msg, error) {
	q := &lookup{filter: filter, done: make(chan struct{})}
	l.mu.Lock()
	l.waiting = append(l.waiting, q)
	l.mu.Unlock()
	slow := time.NewTimer(slowAnswer)
	defer slow.Stop()
	for {
		l.start(ctx)
		select {
		case <-q.done:
			return q.found, q.err
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-slow.C:
			slow.Reset(slowAnswer)
		}
	}
}

// start has what waits asked for, unless that is under way.
func (l *lookups) start(ctx context.Context) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting) == 0 || l.asking >= maxAsking || l.asking > 0 && time.Since(l.since) < slowAnswer {
		return
	}
	l.asking++
	l.since = time.Now()
	// Others wait for the answer too, so it is not this caller's to give up.
	go l.ask(context.WithoutCancel(ctx))
}

// ask asks until nothing waits.
func (l *lookups) ask(ctx context.Context) {
	for {
		l.mu.Lock()
		part := l.waiting[:min(len(l.waiting), keysAtOnce)]
		l.waiting = slices.Clone(l.waiting[len(part):])
		if len(part) == 0 {
			l.asking--
			l.mu.Unlock()
			return
		}
		l.since = time.Now()
		l.mu.Unlock()
		l.together(ctx, part)
	}
}

// together asks for several by one request. A request that fails for one fails for all: each is asked for again by its caller.
func (l *lookups) together(ctx context.Context, part []*lookup) {
	filters := make([]string, 0, len(part))
	for _, q := range part {
		filters = append(filters, q.filter)
	}
	slices.Sort(filters)
	ms, err := l.conn.Direct(ctx, names.StreamHistory, wire.DirectRequest{MultiLast: slices.Compact(filters)})
	newest := make(map[string]*nats.Msg, len(ms))
	for _, m := range ms {
		of := withoutState(wire.StoredSubject(m))
		if have := newest[of]; have == nil || wire.StoredSequence(m) > wire.StoredSequence(have) {
			newest[of] = m
		}
	}
	for _, q := range part {
		q.found, q.err = newest[q.filter], err
		close(q.done)
	}
}

// Latest is the newest record of a delivery, and where it stands in HISTORY; 0: there is none.
func (h *Reader) Latest(ctx context.Context, recipientID string, e *event.Event, replayID string) (rec delivery.Record, sequence uint64,
	err error) {
	one := AttemptFilter{
		Recipient: recipientID, Type: e.Type, Session: names.Token(e.Session), ExternalKey: e.ExternalKey, Appliance: e.Appliance,
		EventID: deliveryToken(e.ID, replayID), noKey: e.ExternalKey == "",
	}
	m, err := h.lookups.newest(ctx, one.Subject())
	if err != nil || m == nil {
		return rec, 0, err
	}
	if err := json.Unmarshal(m.Data, &rec); err != nil {
		return rec, 0, fmt.Errorf("decode record %s: %w", wire.StoredSubject(m), err)
	}
	return rec, wire.StoredSequence(m), nil
}
