package bus

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go"
)

// PickAttempts reads the records at sequences of HISTORY that a filter matches, in the order of the sequences. What is gone is left out.
func (h *History) PickAttempts(ctx context.Context, f AttemptFilter, sequences []uint64) ([]StoredRecord, error) {
	ms, err := h.pick(ctx, sequences)
	if err != nil {
		return nil, fmt.Errorf("read attempts: %w", err)
	}
	return f.matching(ms)
}

// AttemptsBetween reads the records from a sequence to before another that a filter matches, newest first. All records there are read.
func (h *History) AttemptsBetween(ctx context.Context, f AttemptFilter, from, before uint64) ([]StoredRecord, error) {
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
		if _, ours := f.files(storedSubject(m)); !ours {
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
func (h *History) PickIntakes(ctx context.Context, f IntakeFilter, sequences []uint64) ([]StoredIntake, error) {
	ms, err := h.pick(ctx, sequences)
	if err != nil {
		return nil, fmt.Errorf("read intake records: %w", err)
	}
	return f.matching(ms)
}

// IntakesBetween reads the intake records from a sequence to before another that a filter matches, newest first. All records there
// are read.
func (h *History) IntakesBetween(ctx context.Context, f IntakeFilter, from, before uint64) ([]StoredIntake, error) {
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
		if !f.files(storedSubject(m)) {
			continue
		}
		r := StoredIntake{Sequence: storedSequence(m), Time: storedTime(m)}
		if err := json.Unmarshal(m.Data, &r.IntakeRecord); err != nil {
			return nil, fmt.Errorf("decode record %s: %w", storedSubject(m), err)
		}
		if f.has(r.IntakeRecord) {
			out = append(out, r)
		}
	}
	return out, nil
}

// pick reads the messages at sequences, which it asks for all at once.
func (h *History) pick(ctx context.Context, sequences []uint64) ([]*nats.Msg, error) {
	nc := h.conn.nc
	inbox := nc.NewInbox()
	sub, err := nc.SubscribeSync(inbox)
	if err != nil {
		return nil, err
	}
	defer func() { _ = sub.Unsubscribe() }()
	for _, s := range sequences {
		body, err := json.Marshal(directRequest{Sequence: s})
		if err != nil {
			return nil, err
		}
		if err := nc.PublishRequest("$JS.API.DIRECT.GET."+StreamHistory, inbox, body); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, ackTimeout)
	defer cancel()
	at := make(map[uint64]*nats.Msg, len(sequences))
	for range sequences {
		m, err := sub.NextMsgWithContext(ctx)
		if err != nil {
			return nil, err
		}
		switch m.Header.Get("Status") {
		case "":
			at[storedSequence(m)] = m
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
