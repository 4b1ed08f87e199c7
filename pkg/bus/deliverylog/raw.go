package deliverylog

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/outbound-events/outbound/pkg/bus/internal/names"
	"github.com/outbound-events/outbound/pkg/bus/internal/wire"
	"github.com/outbound-events/outbound/pkg/delivery/chain"
)

// Records reads the records of the delivery log as they are stored, whatever they hold.
type Records struct{ conn *wire.Conn }

// NewRecords reads through a connection.
func NewRecords(c *wire.Conn) *Records { return &Records{c} }

// RawRecord is a record as it is stored, with the headers that its digest covers and the digest itself.
type RawRecord struct {
	chain.Read
	Stored time.Time
}

// Read reads records, oldest first, from a sequence on. There are no more if there are none: fewer than asked for say nothing.
func (h *Records) Read(ctx context.Context, from uint64, limit int) ([]RawRecord, error) {
	ms, err := h.conn.Direct(ctx, names.StreamHistory, wire.DirectRequest{Sequence: max(from, 1), NextFor: ">", Batch: min(limit, batchSize)})
	if err != nil {
		return nil, fmt.Errorf("read records from %d on: %w", from, err)
	}
	out := make([]RawRecord, 0, len(ms))
	for _, m := range ms {
		out = append(out, raw(m))
	}
	return out, nil
}

// codeNoMessage is the broker's error code where there is no such message.
const codeNoMessage = 10037

// First is the sequence of the first record from a sequence on, by the stream's leader; 0: there is none. Read may be answered by a
// replica, which may not have the newest records yet.
func (h *Records) First(ctx context.Context, from uint64) (uint64, error) {
	body, err := json.Marshal(map[string]any{"seq": max(from, 1), "next_by_subj": ">"})
	if err != nil {
		return 0, err
	}
	m, err := h.conn.NC.RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET."+names.StreamHistory, body)
	if err != nil {
		return 0, fmt.Errorf("look for records from %d on: %w", from, err)
	}
	var answer struct {
		Message struct {
			Seq uint64 `json:"seq"`
		} `json:"message"`
		Error *jetstream.APIError `json:"error"`
	}
	if err = json.Unmarshal(m.Data, &answer); err == nil && answer.Error != nil && answer.Error.ErrorCode != codeNoMessage {
		err = answer.Error
	}
	if err != nil {
		return 0, fmt.Errorf("look for records from %d on: %w", from, err)
	}
	return answer.Message.Seq, nil
}

func raw(m *nats.Msg) RawRecord {
	headers := make(map[string][]string, len(m.Header))
	for name, values := range m.Header {
		if chain.Covered(name) || name == chain.HeaderDigest {
			headers[name] = values
		}
	}
	return RawRecord{Stored: wire.StoredTime(m), Read: chain.Read{Sequence: wire.StoredSequence(m),
		Record: chain.Record{Subject: wire.StoredSubject(m), Header: headers, Data: m.Data}}}
}

// Extent is which records HISTORY holds, and its bounds. A bound of 0 does not bound.
type Extent struct {
	// First and Last are the sequences of the oldest and the newest record.
	First, Last          uint64
	Records, Bytes       uint64
	MaxRecords, MaxBytes uint64
	MaxAge               time.Duration
}

// Extent looks at HISTORY.
func (h *Records) Extent(ctx context.Context) (Extent, error) {
	s, err := h.conn.JS.Stream(ctx, names.StreamHistory)
	if err != nil {
		return Extent{}, fmt.Errorf("look up stream %s: %w", names.StreamHistory, err)
	}
	i := s.CachedInfo()
	return Extent{First: i.State.FirstSeq, Last: i.State.LastSeq, Records: i.State.Msgs, Bytes: i.State.Bytes,
		MaxRecords: uint64(max(i.Config.MaxMsgs, 0)), MaxBytes: uint64(max(i.Config.MaxBytes, 0)), MaxAge: i.Config.MaxAge}, nil
}

// OnDisk returns once the records up to a sequence are on disk, as far as this process knows of the disk.
func (h *Records) OnDisk(ctx context.Context, sequence uint64) error {
	if h.conn.Disk == nil {
		return nil
	}
	return h.conn.Disk.Await(ctx, names.StreamHistory, sequence)
}

// SequenceAt is the first sequence that was stored at a time or later; ok is false if there is none.
func (h *Records) SequenceAt(ctx context.Context, t time.Time) (sequence uint64, ok bool, err error) {
	return h.conn.SequenceAt(ctx, names.StreamHistory, t)
}

// What About says of a decision on an event. Of a delivery it says its state.
const (
	Accepted = "ACCEPTED"
	Refused  = "REFUSED"
)

// About says what the subject of a record is about: what it records, the recipient, which is empty for a decision on an event, and the
// key of the event, with the replay behind it. All are empty for a subject of something else.
func About(subject string) (what, recipient, event string) {
	g, ok := recordHeaderOf(subject, nats.Header{})
	switch {
	case !ok:
		return "", "", ""
	case g.Intake && g.Accepted:
		return Accepted, "", g.Appliance + "~" + g.EventID
	case g.Intake:
		return Refused, "", g.Appliance + "~" + g.EventID
	default:
		return string(g.State), g.Recipient, strings.TrimSuffix(g.Appliance+"~"+g.EventID+"~"+g.ReplayID, "~")
	}
}

// AcceptanceSequence is where the acceptance of an event stands in HISTORY; 0: nowhere.
func (h *Records) AcceptanceSequence(ctx context.Context, appliance, eventID string) (uint64, error) {
	ms, err := h.conn.Direct(ctx, names.StreamHistory, wire.DirectRequest{LastFor: acceptanceSubject(appliance, eventID)})
	if err != nil || len(ms) == 0 {
		return 0, err
	}
	return wire.StoredSequence(ms[0]), nil
}
