package deliverylog

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/outbound-events/outbound/pkg/bus/internal/names"
	"github.com/outbound-events/outbound/pkg/bus/internal/wire"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/event"
)

// Reader reads the delivery log: every intake decision and every attempt, in the stream HISTORY. It needs no Close.
type Reader struct {
	conn    *wire.Conn
	lookups *lookups
}

// NewReader opens the log for reading alone.
func NewReader(c *wire.Conn) *Reader { return &Reader{conn: c, lookups: &lookups{conn: c}} }

// Log is the delivery log to be written, and read.
type Log struct {
	*Reader
	k       *wire.Committer
	changes chains
}

// New opens the log; Close ends it.
func New(c *wire.Conn) *Log {
	return &Log{Reader: NewReader(c), k: wire.NewCommitter(c, names.StreamHistory, wire.Records(), 0)}
}

// Close waits until every record handed over has its answer. If the broker gives none for 5 s, the rest is given up and counted in
// the log.
func (h *Log) Close() { h.k.Close() }

// AppendIntake stores an intake record. It returns at once; done, if not nil, is called when the result is known and must
// not block.
func (h *Log) AppendIntake(rec event.IntakeRecord, done func(error)) {
	decision := "rejected"
	if rec.Accepted {
		decision = "accepted"
	}
	m := nats.NewMsg(strings.Join([]string{names.SubjectIntake, names.Token(rec.Appliance), decision, names.Token(rec.EventID)}, "."))
	if rec.Accepted {
		m.Header.Set(names.HeaderMsgID, "intake/"+event.Key(rec.Appliance, rec.EventID))
	}
	m.Header.Set(headerRecord, intakeHeader(rec))
	h.append(&wire.Post{Msg: m, Background: true}, &rec, done)
}

// AppendAttempt stores an attempt's record. It returns at once; done, if not nil, is called when the result is known and
// must not block. delivery.ErrAlreadyRecorded: this attempt has a record already, which stands. It is for a delivery that has no record
// by all that is known: the message id protects it, and a repeat compares, so that it may fail with delivery.ErrConflict too.
func (h *Log) AppendAttempt(rec delivery.Record, done func(error)) {
	m, newest := attemptMessage(rec)
	h.append(&wire.Post{Msg: m, Newest: newest}, &rec, done)
}

// AppendAfter stores an attempt's record if the delivery's newest record stands at a sequence of HISTORY, or, for 0, if it has
// none. Else it
// fails with delivery.ErrConflict: so does a repeat of a record that is stored. See AppendAttempt.
func (h *Log) AppendAfter(rec delivery.Record, sequence uint64, done func(error)) {
	m, newest := attemptMessage(rec)
	wire.Compare(m, newest, sequence)
	h.append(&wire.Post{Msg: m, Newest: newest}, &rec, done)
}

// attemptMessage is the message of an attempt's record, without its body, and the filter that matches all records of its delivery.
func attemptMessage(rec delivery.Record) (m *nats.Msg, newest string) {
	m = nats.NewMsg(attemptSubject(rec, string(rec.State)))
	attempt := rec.Attempt
	if rec.LastAttempt == nil {
		// It takes the place of the next attempt: a sender that makes that one nevertheless finds that it is recorded.
		attempt++
		m.Header.Set(headerUntried, "1")
	}
	m.Header.Set(names.HeaderMsgID, deliveryKey(rec)+":"+strconv.Itoa(attempt))
	m.Header.Set(headerRecord, attemptHeader(rec))
	setLatency(m.Header, rec)
	return m, attemptSubject(rec, "*")
}

// attemptSubject is the subject of a delivery's records in a state; `*`: in any.
func attemptSubject(rec delivery.Record, state string) string {
	return strings.Join([]string{names.SubjectAttempt, rec.Recipient, state, rec.Type, names.Token(event.Token(rec.Session)),
		names.HashToken(rec.ExternalKey), rec.Appliance, deliveryToken(rec.EventID, rec.ReplayID)}, ".")
}

// append completes a record's message and has it published.
func (h *Log) append(p *wire.Post, rec interface{ JSON() ([]byte, error) }, done func(error)) {
	if done == nil {
		done = func(error) {}
	}
	data, err := rec.JSON()
	if err != nil {
		done(fmt.Errorf("encode record %s: %w", p.Msg.Subject, err))
		return
	}
	p.Msg.Data, p.Since = data, time.Now()
	if p.Background && p.Msg.Header.Get(names.HeaderMsgID) != "" {
		p.Stored = func(ctx context.Context) (bool, error) { return h.has(ctx, p.Msg) }
	}
	p.Done = func(r wire.Receipt, err error) {
		switch {
		case errors.Is(err, wire.ErrConflict):
			done(fmt.Errorf("record %s: %w", p.Msg.Subject, delivery.ErrConflict))
		case err != nil:
			done(fmt.Errorf("record %s: %w", p.Msg.Subject, err))
		case r.Duplicate:
			done(delivery.ErrAlreadyRecorded)
		default:
			done(nil)
		}
	}
	h.k.Put(p)
}

// has reports whether the newest record of a message's subject is that message.
func (h *Log) has(ctx context.Context, m *nats.Msg) (bool, error) {
	ms, err := h.conn.Direct(ctx, names.StreamHistory, wire.DirectRequest{LastFor: m.Subject})
	return err == nil && len(ms) == 1 && ms[0].Header.Get(names.HeaderMsgID) == m.Header.Get(names.HeaderMsgID) &&
		bytes.Equal(ms[0].Data, m.Data), err
}

// deliveryToken is the last token of an attempt's subject: the event id, and the replay's behind a tilde.
func deliveryToken(eventID, replayID string) string {
	if replayID == "" {
		return eventID
	}
	return eventID + "~" + replayID
}

// Intake is the record of an event's acceptance; ok is false if there is none.
func (h *Reader) Intake(ctx context.Context, appliance, eventID string) (rec event.IntakeRecord, ok bool, err error) {
	subject := acceptanceSubject(appliance, eventID)
	ms, err := h.conn.Direct(ctx, names.StreamHistory, wire.DirectRequest{LastFor: subject})
	if err != nil || len(ms) == 0 {
		return rec, false, err
	}
	if err := json.Unmarshal(ms[0].Data, &rec); err != nil {
		return rec, false, fmt.Errorf("decode record %s: %w", subject, err)
	}
	return rec, true, nil
}

// LastAccepted is when an appliance's last event was accepted; ok is false if the log knows of none.
func (h *Reader) LastAccepted(ctx context.Context, appliance string) (at time.Time, ok bool, err error) {
	ms, err := h.conn.Direct(ctx, names.StreamHistory,
		wire.DirectRequest{LastFor: strings.Join([]string{names.SubjectIntake, appliance, "accepted", ">"}, ".")})
	if err != nil || len(ms) == 0 {
		return time.Time{}, false, err
	}
	var rec event.IntakeRecord
	if err := json.Unmarshal(ms[0].Data, &rec); err != nil {
		return time.Time{}, false, fmt.Errorf("decode record %s: %w", wire.StoredSubject(ms[0]), err)
	}
	if !rec.Recovered {
		return wire.StoredTime(ms[0]), true, nil
	}
	// It was written long after the acceptance, and behind records of later ones.
	last, err := h.conn.Direct(ctx, names.StreamEvents, wire.DirectRequest{LastFor: names.EventSubject(appliance, "*")})
	if err != nil || len(last) == 0 {
		return rec.Time, true, err
	}
	if at := wire.StoredTime(last[0]); at.After(rec.Time) {
		return at, true, nil
	}
	return rec.Time, true, nil
}

// Began is when the oldest record of the log was stored; zero if there is none.
func (h *Reader) Began(ctx context.Context) (time.Time, error) {
	s, err := h.conn.JS.Stream(ctx, names.StreamHistory)
	if err != nil {
		return time.Time{}, fmt.Errorf("look up stream %s: %w", names.StreamHistory, err)
	}
	return s.CachedInfo().State.FirstTime, nil
}

// StoredRecord is an attempt's record where it stands in HISTORY.
type StoredRecord struct {
	Sequence uint64
	Time     time.Time
	delivery.Record
}

// StoredIntake is an intake record where it stands in HISTORY.
type StoredIntake struct {
	Sequence uint64
	Time     time.Time
	event.IntakeRecord
}

// Attempts lists records newest first, those before a sequence of HISTORY (0: from the end), at most limit. Of each
// delivery and state at least the newest record is listed; earlier ones of the same state may be left out.
func (h *Reader) Attempts(ctx context.Context, f AttemptFilter, before uint64, limit int) ([]StoredRecord, error) {
	until, err := h.LastSequence(ctx)
	if err != nil {
		return nil, err
	}
	if before == 0 {
		before = until + 1
	}
	var out []StoredRecord
	for s := h.SearchAttempts(f, Range{Before: before, Until: max(until, before-1)}); s.Before() > 0 && len(out) < limit; {
		more, err := s.Next(ctx, limit-len(out))
		if err != nil {
			return nil, err
		}
		out = append(out, more...)
	}
	return out[:min(limit, len(out))], nil
}

// LatestOf is the newest record of a recipient; ok is false if there is none.
func (h *Reader) LatestOf(ctx context.Context, recipientID string) (r StoredRecord, ok bool, err error) {
	ms, err := h.conn.Direct(ctx, names.StreamHistory, wire.DirectRequest{LastFor: names.SubjectAttempt + "." + recipientID + ".>"})
	if err != nil || len(ms) == 0 {
		return r, false, err
	}
	r = StoredRecord{Sequence: wire.StoredSequence(ms[0]), Time: wire.StoredTime(ms[0])}
	if err := json.Unmarshal(ms[0].Data, &r.Record); err != nil {
		return r, false, fmt.Errorf("decode record %s: %w", ms[0].Subject, err)
	}
	return r, true, nil
}

// batchSize is how many records are asked for at once.
const batchSize = 1_000

// between reads the messages from a sequence to another, both included; an empty filter takes all.
func (h *Reader) between(ctx context.Context, filter string, start, end uint64) ([]*nats.Msg, error) {
	var out []*nats.Msg
	for start <= end {
		ms, err := h.conn.Direct(ctx, names.StreamHistory,
			wire.DirectRequest{Sequence: start, NextFor: filter, Batch: int(min(batchSize, end-start+1))})
		if err != nil {
			return nil, err
		}
		for _, m := range ms {
			if wire.StoredSequence(m) > end {
				return out, nil
			}
			out = append(out, m)
		}
		if len(ms) == 0 {
			return out, nil
		}
		// A short batch is not the end: the broker also ends one at its own bound of bytes.
		start = wire.StoredSequence(ms[len(ms)-1]) + 1
	}
	return out, nil
}
