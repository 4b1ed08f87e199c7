// Package auditlog is the stream AUDIT: entries of the audit log, each of which holds the hash of the one before. Any process may append:
// the broker stores an entry only if it follows the one that it was made for.
package auditlog

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/outbound-events/outbound/pkg/audit"
	"github.com/outbound-events/outbound/pkg/bus/internal/names"
	"github.com/outbound-events/outbound/pkg/bus/internal/wire"
)

// headerHash holds the hash of an entry.
const headerHash = "Outbound-Hash"

// ErrFull says that AUDIT takes no more entries.
var ErrFull = errors.New("the audit log is full")

// Log reads and writes AUDIT. It may be used by many goroutines.
type Log struct {
	conn *wire.Conn

	mu sync.Mutex
	// head is the newest entry, as far as it is known. An append finds out if there is a newer one.
	head  audit.Head
	known bool
	state state
	// asked is when the state was asked for.
	asked time.Time
}

// New reads and writes through a connection.
func New(c *wire.Conn) *Log { return &Log{conn: c} }

// maxTries is how often an append follows entries of other processes that came first.
const maxTries = 50

// Append stores an entry as the next one. Its Time, if zero, is now.
func (l *Log) Append(ctx context.Context, e audit.Entry) (audit.Stored, error) {
	if e.Time.IsZero() {
		e.Time = l.conn.Now()
	}
	bound(&e)
	l.mu.Lock()
	defer l.mu.Unlock()
	for range maxTries {
		if err := l.load(ctx); err != nil {
			return audit.Stored{}, err
		}
		s, err := audit.Seal(e, l.head)
		if err != nil {
			return audit.Stored{}, err
		}
		s, err = l.publish(ctx, s)
		if !wire.WrongSequence(err) {
			return s, err
		}
		l.known = false
	}
	return audit.Stored{}, fmt.Errorf("append to the audit log: others were faster %d times", maxTries)
}

// publish stores an entry behind the head. Its message id makes a repeat harmless.
func (l *Log) publish(ctx context.Context, s audit.Stored) (audit.Stored, error) {
	m := nats.NewMsg(names.AuditSubject(s.Action))
	m.Data = s.Raw
	m.Header.Set(headerHash, s.Hash)
	m.Header.Set(names.HeaderMsgID, nuid.Next())
	ack, err := l.conn.JS.PublishMsg(ctx, m, jetstream.WithExpectLastSequence(l.head.Sequence))
	if wire.WrongSequence(err) {
		return s, err
	}
	if err == nil {
		err = l.conn.Synced(names.StreamAudit, ack.Sequence)
	}
	if err != nil {
		l.known = false
		return s, fmt.Errorf("append to the audit log: %w", full(err))
	}
	s.Sequence = ack.Sequence
	l.head = s.Head()
	return s, nil
}

// full makes ErrFull of the broker's refusal for want of room.
func full(err error) error {
	var api *jetstream.APIError
	if errors.As(err, &api) && strings.Contains(api.Description, "maximum") {
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return err
}

// load reads the newest entry, if it is not known.
func (l *Log) load(ctx context.Context) error {
	if l.known {
		return nil
	}
	stream, err := l.conn.JS.Stream(ctx, names.StreamAudit)
	if err != nil {
		return fmt.Errorf("look up stream %s: %w", names.StreamAudit, err)
	}
	info := stream.CachedInfo().State
	l.head = audit.Head{}
	if info.Msgs > 0 {
		s, err := l.at(ctx, info.LastSeq)
		if err != nil {
			return err
		}
		if s.Number == 0 {
			// What can't be read is followed as well as possible: the verification names it.
			s.Number, s.Sequence = info.LastSeq, info.LastSeq
		}
		l.head = s.Head()
	} else if mark, err := l.Mark(ctx); err != nil {
		return err
	} else if mark != nil {
		l.head = *mark
	}
	l.head.Sequence, l.known = info.LastSeq, true
	return nil
}

// at reads the entry at a sequence. One that is gone or can't be read is empty.
func (l *Log) at(ctx context.Context, sequence uint64) (audit.Stored, error) {
	// The direct get of a follower may not know the newest message yet.
	stream, err := l.conn.JS.Stream(ctx, names.StreamAudit)
	if err != nil {
		return audit.Stored{}, fmt.Errorf("look up stream %s: %w", names.StreamAudit, err)
	}
	m, err := stream.GetMsg(ctx, sequence)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return audit.Stored{}, nil
	}
	if err != nil {
		return audit.Stored{}, fmt.Errorf("read audit entry at %d: %w", sequence, err)
	}
	s, err := audit.Open(m.Data, m.Header.Get(headerHash), sequence)
	if err != nil {
		s.Entry = audit.Entry{}
	}
	return s, nil
}

// The bounds of an entry, in bytes: the broker takes 256 KiB.
const (
	maxValue   = 4 << 10
	maxRequest = 16 << 10
	maxChanges = 400
	maxAll     = 160 << 10
)

// bound shortens what is too long for an entry.
func bound(e *audit.Entry) {
	cut := func(s string, most int) string {
		if len(s) <= most {
			return s
		}
		return strings.ToValidUTF8(s[:most], "") + fmt.Sprintf("… (%d bytes)", len(s))
	}
	e.Reason, e.Agent, e.Object, e.Actor = cut(e.Reason, 1024), cut(e.Agent, 200), cut(e.Object, 512), cut(e.Actor, 256)
	if len(e.Request) > maxRequest {
		e.Request = fmt.Appendf(nil, `{"leftOut":"%d bytes"}`, len(e.Request))
	}
	total := 0
	for i := range e.Changes {
		c := &e.Changes[i]
		c.Before, c.After = cut(c.Before, maxValue), cut(c.After, maxValue)
		total += len(c.Path) + len(c.Before) + len(c.After) + len(c.Resource)
		if i >= maxChanges || total > maxAll {
			e.Changes = append(e.Changes[:i:i], audit.Change{Path: fmt.Sprintf("… and %d more fields", len(e.Changes)-i)})
			break
		}
	}
	if len(e.Revisions) > maxChanges {
		e.Revisions = e.Revisions[:maxChanges:maxChanges]
	}
}
