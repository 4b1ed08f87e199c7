package verify

import (
	"context"
	"errors"
	"fmt"

	"github.com/outbound-events/outbound/pkg/audit"
	"github.com/outbound-events/outbound/pkg/bus/checkpoints"
	"github.com/outbound-events/outbound/pkg/tlog"
)

// part is a segment with entries, as it was found.
type part struct {
	// at is its sequence in CHECKPOINTS, first and last are those of its records.
	at, first, last uint64
	// covered says that a checkpoint covers it.
	covered bool
	// lowest is the lowest sequence of a later part that is covered: what is not below it was written anew.
	lowest uint64
}

// survey is what the segments and checkpoints are.
type survey struct {
	parts []part
	// tree is where the segments have come to; nil: that is not known. open are the parts that no checkpoint covers yet.
	tree *tlog.Tree
	open []int
	// at is the last segment, number and hash are of the last checkpoint.
	at     uint64
	number uint64
	hash   string
	// headSeen says that the noted checkpoint was found.
	headSeen bool
	oldest   uint64
}

// look reads all segments and verifies the checkpoints.
func (r *run) look(ctx context.Context) error {
	if r.Keys == nil {
		r.note("No checkpoints are made: set checkpointKey of the history service. The records are verified by their chains alone.")
		return nil
	}
	from, ok := uint64(1), true
	if !r.Since.IsZero() {
		var err error
		if from, ok, err = r.Checkpoints.SequenceAt(ctx, r.Since); err != nil {
			return err
		}
	}
	if ok {
		if err := r.Checkpoints.Each(ctx, from, func(s checkpoints.Stored) (bool, error) { return true, r.segment(s) }); err != nil {
			return err
		}
	}
	r.head()
	lowest := ^uint64(0)
	for i := len(r.survey.parts) - 1; i >= 0; i-- {
		p := &r.survey.parts[i]
		if p.lowest = lowest; p.covered {
			lowest = min(lowest, p.first)
		}
	}
	return nil
}

// head compares the checkpoint that was noted before.
func (r *run) head() {
	v := &r.survey
	if r.HeadNumber == 0 || v.headSeen {
		return
	}
	if v.oldest > 0 && r.HeadNumber < v.oldest {
		r.note("Checkpoint %d, which was noted, is older than those that are compared: the oldest of them is %d.", r.HeadNumber, v.oldest)
		return
	}
	r.fault(Fault{Kind: audit.Removed, Checkpoint: r.HeadNumber,
		Text: fmt.Sprintf("checkpoint %d, which was noted, is not there: the last one is %d. The log was set back", r.HeadNumber, v.number)})
}

// segment takes the next segment.
func (r *run) segment(s checkpoints.Stored) error {
	v := &r.survey
	if v.at > 0 && s.Sequence != v.at+1 {
		r.fault(Fault{Kind: audit.Removed, Text: fmt.Sprintf("segments %d to %d of the tree are missing", v.at+1, s.Sequence-1)})
	}
	v.at = s.Sequence
	if s.Err != nil {
		r.fault(Fault{Kind: audit.Changed, Text: fmt.Sprintf("segment %d of the tree can't be read (%v)", s.Sequence, s.Err)})
		v.lose()
		return nil //nolint:nilerr // the error is of a segment, and is told
	}
	if err := r.join(s); err != nil {
		return err
	}
	for _, e := range s.Entries {
		if err := v.tree.Append(e); err != nil {
			return err
		}
	}
	if n := len(s.Entries); n > 0 {
		v.open = append(v.open, len(v.parts))
		v.parts = append(v.parts, part{at: s.Sequence, first: s.Entries[0].Sequence, last: s.Entries[n-1].Sequence})
	}
	if len(s.Signed) > 0 {
		r.checkpoint(s)
	}
	return nil
}

// lose forgets where the tree has come to: what no checkpoint covers yet is not covered.
func (v *survey) lose() { v.tree, v.open = nil, nil }

// join compares a segment with the one before it.
func (r *run) join(s checkpoints.Stored) (err error) {
	v := &r.survey
	if v.tree != nil && !v.tree.Is(s.Start, s.Left) {
		text := fmt.Sprintf("segment %d of the tree does not follow the one before it: entries were removed or changed", s.Sequence)
		if s.Start == 0 {
			text = fmt.Sprintf("a new tree begins with segment %d, because the one before was not what had been signed, or its key was not at hand",
				s.Sequence)
			v.number, v.hash = 0, ""
		}
		r.fault(Fault{Kind: audit.Changed, Text: text})
		v.lose()
	}
	if v.tree == nil {
		if v.tree, err = tlog.NewTree(s.Start, s.Left); err != nil {
			r.fault(Fault{Kind: audit.Changed, Text: fmt.Sprintf("segment %d of the tree can't be read (%v)", s.Sequence, err)})
			v.tree, err = tlog.NewTree(0, nil)
		}
	}
	return err
}

// checkpoint verifies the checkpoint of a segment.
func (r *run) checkpoint(s checkpoints.Stored) {
	v := &r.survey
	c, err := r.Keys.Open(s.Signed)
	if err != nil {
		kind := audit.Changed
		if errors.Is(err, tlog.ErrSignature) {
			err = errors.New("it is not signed with the key of this log, or was changed")
		}
		r.fault(Fault{Kind: kind, Text: fmt.Sprintf("the checkpoint of segment %d is not valid: %v", s.Sequence, err)})
		return
	}
	r.result.Checkpoints++
	hash := tlog.HashOf(s.Signed)
	r.follows(c)
	if c.Number == r.HeadNumber {
		v.headSeen = true
		if hash != r.HeadHash {
			r.fault(Fault{Kind: audit.Changed, Checkpoint: c.Number,
				Text: fmt.Sprintf("checkpoint %d is another one than was noted: the log was set back and written anew", c.Number)})
		}
	}
	if v.oldest == 0 {
		v.oldest = c.Number
	}
	v.number, v.hash = c.Number, hash
	r.result.HeadNumber, r.result.HeadHash, r.result.HeadTime = c.Number, hash, c.Time
	if err := c.Fits(v.tree); err != nil {
		text := fmt.Sprintf("checkpoint %d does not fit the entries that are stored: they were changed", c.Number)
		if c.First > 0 && c.First <= c.Last {
			text += fmt.Sprintf(", so that records %d to %d can't be compared with it", c.First, c.Last)
		}
		r.fault(Fault{Kind: audit.Changed, Checkpoint: c.Number, Text: text})
		v.lose()
		return
	}
	for _, i := range v.open {
		v.parts[i].covered = true
	}
	v.open = nil
}

// follows compares a checkpoint with the one before it.
func (r *run) follows(c tlog.Checkpoint) {
	v := &r.survey
	switch {
	case v.number == 0:
	case c.Number > v.number+1:
		r.fault(Fault{Kind: audit.Removed, Checkpoint: v.number + 1,
			Text: fmt.Sprintf("checkpoints between %d and %d are missing", v.number, c.Number)})
	case c.Number <= v.number:
		r.fault(Fault{Kind: audit.Reordered, Checkpoint: c.Number, Text: fmt.Sprintf("checkpoint %d follows checkpoint %d", c.Number, v.number)})
	case c.Previous != v.hash:
		r.fault(Fault{Kind: audit.Changed, Checkpoint: v.number,
			Text: fmt.Sprintf("checkpoint %d holds another hash of checkpoint %d", c.Number, v.number)})
	}
}
