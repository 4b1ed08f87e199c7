package verify

import (
	"context"
	"errors"
	"fmt"

	"github.com/outbound-events/outbound/pkg/bus/checkpoints"
	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/delivery/chain"
	"github.com/outbound-events/outbound/pkg/tlog"
)

var (
	// ErrNotCovered says that no checkpoint covers a record yet.
	ErrNotCovered = errors.New("no checkpoint covers it yet")
	// ErrNotTheSame says that a record is not the one that the checkpoints cover.
	ErrNotTheSame = errors.New("it is not what the checkpoints say it was")
	// ErrGone says that a record is not in the log any more.
	ErrGone = errors.New("it is not in the log any more")
)

// Prove proves records, which are named by their sequences, in the order of the log.
func (v *Verifier) Prove(ctx context.Context, sequences []uint64) ([]tlog.Proven, error) {
	if v.Cover != nil {
		// Without it, the last checkpoint may cover them all the same.
		_ = v.Cover(ctx)
	}
	var out []tlog.Proven
	for _, sequence := range sequences {
		p, err := v.prove(ctx, sequence)
		if err != nil {
			return nil, fmt.Errorf("record %d: %w", sequence, err)
		}
		out = append(out, p)
	}
	return out, nil
}

func (v *Verifier) prove(ctx context.Context, sequence uint64) (p tlog.Proven, err error) {
	found, err := v.Log.Read(ctx, sequence, 1)
	if err != nil {
		return p, err
	}
	if len(found) == 0 || found[0].Sequence != sequence {
		return p, ErrGone
	}
	r := found[0]
	segments, index, err := v.segments(ctx, r)
	if err != nil {
		return p, err
	}
	proofs, err := tlog.Inclusion(segments, []uint64{index})
	if err != nil {
		return p, err
	}
	p = tlog.Proven{Sequence: sequence, Stored: r.Stored, Subject: r.Subject, Headers: map[string][]string{}, Data: string(r.Data),
		Index: index, Proof: proofs[0], Checkpoint: string(segments[len(segments)-1].Signed)}
	for name, values := range r.Header {
		if chain.Covered(name) {
			p.Headers[name] = values
		}
	}
	if _, err := (tlog.Receipt{Format: tlog.ReceiptFormat, Records: []tlog.Proven{p}}).Verify(v.Keys); err != nil {
		return p, fmt.Errorf("%w: %w", ErrNotTheSame, err)
	}
	return p, nil
}

// segments are those from the one with a record's entry to the next checkpoint, and the index of the entry. A segment is stored after its
// records.
func (v *Verifier) segments(ctx context.Context, r deliverylog.RawRecord) (out []tlog.Segment, index uint64, err error) {
	from, ok, err := v.Checkpoints.SequenceAt(ctx, r.Stored)
	if err != nil {
		return nil, 0, err
	}
	if !ok {
		return nil, 0, ErrNotCovered
	}
	signed := false
	err = v.Checkpoints.Each(ctx, from, func(s checkpoints.Stored) (bool, error) {
		if s.Err != nil {
			return false, fmt.Errorf("%w: segment %d: %w", ErrNotTheSame, s.Sequence, s.Err)
		}
		for i, e := range s.Entries {
			if e.Sequence == r.Sequence && len(out) == 0 {
				index, out = s.Start+uint64(i), append(out, s.Segment)
				signed = len(s.Signed) > 0
				return !signed, nil
			}
		}
		if len(out) > 0 {
			out = append(out, s.Segment)
			signed = len(s.Signed) > 0
		}
		return !signed, nil
	})
	if err == nil && !signed {
		err = ErrNotCovered
	}
	return out, index, err
}
