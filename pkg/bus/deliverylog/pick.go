package deliverylog

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go"

	"github.com/outbound-events/outbound/pkg/bus/internal/names"
	"github.com/outbound-events/outbound/pkg/bus/internal/wire"
)

// PickAttempts reads the records at sequences of HISTORY that a filter matches, in the order of the sequences. What is gone is left out.
func (h *Reader) PickAttempts(ctx context.Context, f AttemptFilter, sequences []uint64) ([]StoredRecord, error) {
	ms, err := h.pick(ctx, sequences)
	if err != nil {
		return nil, fmt.Errorf("read attempts: %w", err)
	}
	return f.matching(ms)
}

// AttemptsBetween reads the records from a sequence to before another that a filter matches, newest first. All records there are read.
func (h *Reader) AttemptsBetween(ctx context.Context, f AttemptFilter, from, before uint64) ([]StoredRecord, error) {
	ms, err := h.between(ctx, "", from, before-1)
	if err != nil {
		return nil, fmt.Errorf("read attempts: %w", err)
	}
	slices.Reverse(ms)
	return f.matching(ms)
}

func (f AttemptFilter) matching(ms []*nats.Msg) ([]StoredRecord, error) {
	out := make([]StoredRecord, 0, len(ms))
	for _, m := range ms {
		if _, ours := f.files(wire.StoredSubject(m)); !ours {
			continue
		}
		r, ok, err := f.decode(m)
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, r)
		}
	}
	return out, nil
}

// PickIntakes reads the intake records at sequences of HISTORY that a filter matches, in the order of the sequences. What is gone is
// left out.
func (h *Reader) PickIntakes(ctx context.Context, f IntakeFilter, sequences []uint64) ([]StoredIntake, error) {
	ms, err := h.pick(ctx, sequences)
	if err != nil {
		return nil, fmt.Errorf("read intake records: %w", err)
	}
	return f.matching(ms)
}

// IntakesBetween reads the intake records from a sequence to before another that a filter matches, newest first. All records there
// are read.
func (h *Reader) IntakesBetween(ctx context.Context, f IntakeFilter, from, before uint64) ([]StoredIntake, error) {
	ms, err := h.between(ctx, "", from, before-1)
	if err != nil {
		return nil, fmt.Errorf("read intake records: %w", err)
	}
	slices.Reverse(ms)
	return f.matching(ms)
}

func (f IntakeFilter) matching(ms []*nats.Msg) ([]StoredIntake, error) {
	out := make([]StoredIntake, 0, len(ms))
	for _, m := range ms {
		if !f.files(wire.StoredSubject(m)) {
			continue
		}
		r := StoredIntake{Sequence: wire.StoredSequence(m), Time: wire.StoredTime(m)}
		if err := json.Unmarshal(m.Data, &r.IntakeRecord); err != nil {
			return nil, fmt.Errorf("decode record %s: %w", wire.StoredSubject(m), err)
		}
		if f.has(r.IntakeRecord) {
			out = append(out, r)
		}
	}
	return out, nil
}

// pick reads the messages at sequences, which it asks for all at once.
func (h *Reader) pick(ctx context.Context, sequences []uint64) ([]*nats.Msg, error) {
	nc := h.conn.NC
	inbox := nc.NewInbox()
	sub, err := nc.SubscribeSync(inbox)
	if err != nil {
		return nil, err
	}
	defer func() { _ = sub.Unsubscribe() }()
	for _, s := range sequences {
		body, err := json.Marshal(wire.DirectRequest{Sequence: s})
		if err != nil {
			return nil, err
		}
		if err := nc.PublishRequest("$JS.API.DIRECT.GET."+names.StreamHistory, inbox, body); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, wire.AckTimeout)
	defer cancel()
	at := make(map[uint64]*nats.Msg, len(sequences))
	for range sequences {
		m, err := sub.NextMsgWithContext(ctx)
		if err != nil {
			return nil, err
		}
		switch m.Header.Get("Status") {
		case "":
			at[wire.StoredSequence(m)] = m
		case "404":
		default:
			return nil, fmt.Errorf("the broker responded with %s %s", m.Header.Get("Status"), m.Header.Get("Description"))
		}
	}
	out := make([]*nats.Msg, 0, len(at))
	for _, s := range sequences {
		if m := at[s]; m != nil {
			out = append(out, m)
		}
	}
	return out, nil
}
