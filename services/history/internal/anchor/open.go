package anchor

import (
	"context"
	"fmt"
	"slices"

	"github.com/outbound-events/outbound/pkg/bus/checkpoints"
	"github.com/outbound-events/outbound/pkg/telemetry"
	"github.com/outbound-events/outbound/pkg/tlog"
)

// open reads where the tree ends. One that is not as it was signed is not gone on with: another one begins, and a verification says so.
func (k *Keeper) open(ctx context.Context) (*border, error) {
	first, last, err := k.Checkpoints.Extent(ctx)
	if err != nil {
		return nil, err
	}
	segments, err := k.end(ctx, first, last)
	if err != nil {
		return nil, err
	}
	b, err := k.replay(segments)
	if err != nil {
		k.Logger.ErrorContext(ctx, "the checkpoints of the delivery log are not what was signed: a new tree begins. See what happened: "+
			"outbound verify", telemetry.KeyError, err.Error())
		if b, err = k.empty(); err != nil {
			return nil, err
		}
	}
	b.after = last
	b.next, err = k.next(ctx, first, last)
	return b, err
}

func (k *Keeper) empty() (*border, error) {
	tree, err := tlog.NewTree(0, nil)
	return &border{Keeper: k, tree: tree}, err
}

// end are the segments from the one with the last checkpoint on.
func (k *Keeper) end(ctx context.Context, first, last uint64) (out []checkpoints.Stored, err error) {
	for at := last; at >= first && at > 0; at-- {
		s, ok, err := k.Checkpoints.At(ctx, at)
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		out = append(out, s)
		if s.Err == nil && len(s.Signed) > 0 {
			break
		}
	}
	slices.Reverse(out)
	return out, nil
}

// replay is the tree that segments end with.
func (k *Keeper) replay(segments []checkpoints.Stored) (*border, error) {
	b, err := k.empty()
	if err != nil || len(segments) == 0 {
		return b, err
	}
	for i, s := range segments {
		if s.Err != nil {
			return nil, fmt.Errorf("segment %d: %w", s.Sequence, s.Err)
		}
		if i == 0 {
			if b.tree, err = tlog.NewTree(s.Start, s.Left); err != nil {
				return nil, fmt.Errorf("segment %d: %w", s.Sequence, err)
			}
		}
		if !b.tree.Is(s.Start, s.Left) || i == 0 && len(s.Signed) == 0 && s.Start > 0 {
			return nil, fmt.Errorf("segment %d does not follow what was signed", s.Sequence)
		}
		for _, e := range s.Entries {
			if err := b.tree.Append(e); err != nil {
				return nil, err
			}
			if b.last = e.Sequence; b.first == 0 {
				b.first = e.Sequence
			}
		}
		if len(s.Signed) == 0 {
			continue
		}
		c, err := k.Keys.Open(s.Signed)
		if err == nil {
			err = c.Fits(b.tree)
		}
		if err != nil {
			return nil, fmt.Errorf("the last checkpoint: %w", err)
		}
		b.number = c.Number - 1
		b.signedAs(s.Signed)
	}
	return b, nil
}

// next is the sequence of the first record that is not in the tree: the one behind the newest entry whose record is still there. If the end
// of the log was lost, its sequences are used again.
func (k *Keeper) next(ctx context.Context, first, last uint64) (uint64, error) {
	extent, err := k.Log.Extent(ctx)
	if err != nil {
		return 0, err
	}
	for at := last; at >= first && at > 0; at-- {
		s, ok, err := k.Checkpoints.At(ctx, at)
		if err != nil {
			return 0, err
		}
		if !ok {
			break
		}
		for _, e := range slices.Backward(s.Entries) {
			if e.Sequence < extent.First {
				return extent.First, nil
			}
			found, err := k.Log.Read(ctx, e.Sequence, 1)
			if err != nil {
				return 0, err
			}
			if len(found) == 1 && found[0].Sequence == e.Sequence && found[0].Stored.Equal(e.Stored) {
				return e.Sequence + 1, nil
			}
		}
	}
	return max(extent.First, 1), nil
}
