package anchor

import (
	"context"
	"errors"
	"time"

	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/delivery/chain"
	"github.com/outbound-events/outbound/pkg/tlog"
)

// border is where the tree ends.
type border struct {
	*Keeper
	tree *tlog.Tree
	// after is the sequence of the last segment in CHECKPOINTS, next that of the first record in HISTORY that is not in the tree.
	after, next uint64
	// entries are appended to the tree with the next segment.
	entries []tlog.Entry
	// number and previous are those of the last checkpoint, signed is its size, first the sequence of the first record behind it.
	number   uint64
	previous string
	signed   uint64
	first    uint64
	last     uint64
}

// EntryOf is the entry of a record that was read. What its writer says of its digest counts, as for records that are told: a record that
// does not match is found by a verification.
func EntryOf(r deliverylog.RawRecord) tlog.Entry {
	e := tlog.Entry{Sequence: r.Sequence, Stored: r.Stored, Subject: r.Subject}
	if v := r.Header[chain.HeaderDigest]; len(v) == 1 {
		if digest, ok := chain.ParseDigest(v[0]); ok {
			e.Digest = digest
			return e
		}
	}
	e.Digest = chain.DigestOf(r.Subject, r.Header, r.Data)
	return e
}

// append takes the next record. Those before it that were not told are read.
func (b *border) append(ctx context.Context, e tlog.Entry) error {
	if e.Sequence < b.next {
		return nil
	}
	if err := b.fill(ctx, e.Sequence); err != nil {
		return err
	}
	return b.add(ctx, e)
}

// readAtOnce is how many records are read by one request.
const readAtOnce = 500

// fill reads the records before a sequence that are not in the tree.
func (b *border) fill(ctx context.Context, before uint64) error {
	for b.next < before {
		found, err := b.Log.Read(ctx, b.next, int(min(readAtOnce, before-b.next)))
		if err != nil {
			return err
		}
		for _, r := range found {
			if r.Sequence >= before {
				break
			}
			if err := b.add(ctx, EntryOf(r)); err != nil {
				return err
			}
		}
		if len(found) > 0 && found[len(found)-1].Sequence < before {
			continue
		}
		if len(found) == 0 {
			if err := b.gap(ctx, before); err != nil {
				return err
			}
		}
		b.next = before
	}
	return nil
}

var errLags = errors.New("a replica of the delivery log lags")

// gap is an error unless there are no more records before a sequence, by the stream's leader.
func (b *border) gap(ctx context.Context, before uint64) error {
	first, err := b.Log.First(ctx, b.next)
	if err == nil && first > 0 && first < before {
		err = errLags
	}
	return err
}

func (b *border) add(ctx context.Context, e tlog.Entry) error {
	b.entries = append(b.entries, e)
	b.next, b.last = e.Sequence+1, e.Sequence
	if b.first == 0 {
		b.first = e.Sequence
	}
	if len(b.entries) < tlog.MaxEntries {
		return nil
	}
	return b.store(ctx, false)
}

// sign stores a checkpoint, if there are records that none covers.
func (b *border) sign(ctx context.Context) error {
	if b.tree.Size()+uint64(len(b.entries)) == b.signed {
		return nil
	}
	return b.store(ctx, true)
}

// storeWait bounds a write.
const storeWait = 10 * time.Second

// store appends the entries to the tree and stores them, with a checkpoint if it is to be signed. After an error nothing is known of where
// the tree ends.
func (b *border) store(ctx context.Context, sign bool) error {
	ctx, cancel := context.WithTimeout(ctx, storeWait)
	defer cancel()
	s := tlog.Segment{Start: b.tree.Size(), Left: b.tree.Left(), Entries: b.entries}
	for _, e := range b.entries {
		if err := b.tree.Append(e); err != nil {
			return err
		}
	}
	if len(b.entries) > 0 {
		// What a checkpoint covers must not be lost with the power.
		if err := b.Log.OnDisk(ctx, b.last); err != nil {
			return err
		}
	}
	if sign {
		root, err := b.tree.Root()
		if err != nil {
			return err
		}
		s.Signed, err = b.Keys.Sign(tlog.Checkpoint{Size: b.tree.Size(), Root: root, Number: b.number + 1, Previous: b.previous,
			Time: b.Bus.Now(), First: b.first, Last: b.last})
		if err != nil {
			return err
		}
	}
	after, err := b.Checkpoints.Append(ctx, s, b.after)
	if err != nil {
		return err
	}
	b.after, b.entries = after, nil
	if sign {
		b.signedAs(s.Signed)
	}
	return nil
}

// signedAs notes the last checkpoint.
func (b *border) signedAs(signed []byte) {
	b.number, b.previous, b.signed, b.first = b.number+1, tlog.HashOf(signed), b.tree.Size(), 0
}
