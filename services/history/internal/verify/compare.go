package verify

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/outbound-events/outbound/pkg/audit"
	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/delivery/chain"
	"github.com/outbound-events/outbound/pkg/pause"
	"github.com/outbound-events/outbound/pkg/tlog"
)

// entries are those that checkpoints cover, in the order of the log.
type entries struct {
	run  *run
	part int
	list []tlog.Entry
	// one is the next entry; ok is false if there is none.
	one tlog.Entry
	ok  bool
}

// step goes on to the next entry. Those whose sequences were used again later are faults.
func (e *entries) step(ctx context.Context) error {
	for {
		for len(e.list) == 0 {
			if e.part == len(e.run.survey.parts) {
				e.ok = false
				return nil
			}
			if err := e.load(ctx); err != nil {
				return err
			}
			e.part++
		}
		e.one, e.list, e.ok = e.list[0], e.list[1:], true
		if e.one.Sequence < e.run.survey.parts[e.part-1].lowest {
			return nil
		}
		e.run.doubts.again = append(e.run.doubts.again, e.one)
	}
}

func (e *entries) load(ctx context.Context) error {
	p := e.run.survey.parts[e.part]
	if !p.covered {
		return nil
	}
	s, ok, err := e.run.Checkpoints.At(ctx, p.at)
	if err != nil {
		return err
	}
	if !ok || s.Err != nil {
		e.run.note("Segment %d of the tree has gone meanwhile: its records are not compared.", p.at)
		return nil //nolint:nilerr // the error is of a segment, and is told
	}
	e.list = s.Entries
	r := &e.run.result
	if r.CoveredFirst == 0 {
		r.CoveredFirst = p.first
	}
	r.CoveredLast = max(r.CoveredLast, p.last)
	return nil
}

// begin is the sequence at which the comparison begins.
func (r *run) begin(ctx context.Context) (uint64, error) {
	if r.Since.IsZero() {
		return r.extent.First, nil
	}
	for _, p := range r.survey.parts {
		if p.covered {
			return max(p.first, r.extent.First), nil
		}
	}
	at, ok, err := r.Log.SequenceAt(ctx, r.Since)
	if !ok {
		at = r.extent.Last + 1
	}
	return at, err
}

// readAtOnce is how many records are read by one request.
const readAtOnce = 1000

// compare reads the records and compares each with its entry.
func (r *run) compare(ctx context.Context) error {
	from, err := r.begin(ctx)
	if err != nil {
		return err
	}
	e := &entries{run: r}
	if err := e.step(ctx); err != nil {
		return err
	}
	// The log drops its oldest records; the tree tells which were old enough.
	for ; e.ok && e.one.Sequence < r.extent.First; err = e.step(ctx) {
		if err != nil {
			return err
		}
		if !r.old(r.extent, e.one) {
			r.seen(e.one.Sequence)
			r.doubts.lacks(e.one)
		}
	}
	if err != nil {
		return err
	}
	if err := r.read(ctx, from, e); err != nil {
		return err
	}
	for ; e.ok; err = e.step(ctx) {
		if err != nil {
			return err
		}
		r.seen(e.one.Sequence)
		r.doubts.lacks(e.one)
	}
	return err
}

// read compares the records from a sequence on.
func (r *run) read(ctx context.Context, from uint64, e *entries) error {
	for tries := 0; from <= r.extent.Last; {
		found, err := r.Log.Read(ctx, from, readAtOnce)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			if more, err := r.lags(ctx, from, tries); err != nil || !more {
				return err
			}
			tries++
			continue
		}
		for _, x := range found {
			if x.Sequence > r.extent.Last {
				break
			}
			if err := r.record(ctx, x, e); err != nil {
				return err
			}
		}
		from = found[len(found)-1].Sequence + 1
	}
	return nil
}

const (
	// maxTries is how often records are asked for again that a replica does not have yet.
	maxTries = 20
	lagPause = 500 * time.Millisecond
)

var errLags = errors.New("a replica of the delivery log lags: try again")

// lags reports, after a pause, whether there are records from a sequence on though none were read.
func (r *run) lags(ctx context.Context, from uint64, tries int) (bool, error) {
	first, err := r.Log.First(ctx, from)
	switch {
	case err != nil || first == 0 || first > r.extent.Last:
		return false, err
	case tries >= maxTries || !pause.For(ctx, lagPause):
		return false, errLags
	default:
		return true, nil
	}
}

// record compares one record.
func (r *run) record(ctx context.Context, x deliverylog.RawRecord, e *entries) error {
	for e.ok && e.one.Sequence < x.Sequence {
		r.seen(e.one.Sequence)
		r.doubts.lacks(e.one)
		if err := e.step(ctx); err != nil {
			return err
		}
	}
	r.seen(x.Sequence)
	r.result.Records++
	is := tlog.Entry{Sequence: x.Sequence, Stored: x.Stored, Subject: x.Subject, Digest: chain.DigestOf(x.Subject, x.Header, x.Data)}
	switch {
	case e.ok && e.one.Sequence == x.Sequence:
		r.result.Covered++
		if is.Digest != e.one.Digest || !is.Stored.Equal(e.one.Stored) || is.Subject != e.one.Subject {
			r.doubts.differs(e.one, is)
		} else {
			r.link(x, is)
		}
		if err := e.step(ctx); err != nil {
			return err
		}
	case r.covers(x.Sequence), r.doubts.belongsElsewhere(is):
		r.doubts.extra(is)
	default:
		r.link(x, is)
	}
	if r.Progress != nil && r.result.Records%progressEvery == 0 {
		return r.Progress(r.result)
	}
	return nil
}

// link compares a record with its chain. Those that the checkpoints find fault with are left out, so that it is named once.
func (r *run) link(x deliverylog.RawRecord, is tlog.Entry) {
	before := r.chains.Faults()
	r.chains.Next(x.Read, is.Digest)
	if r.chains.Faults() > before {
		r.doubts.name(is)
	}
}

// covers reports whether the checkpoints cover a sequence.
func (r *run) covers(sequence uint64) bool {
	for _, p := range r.survey.parts {
		if p.covered && p.first <= sequence && sequence <= p.last {
			return true
		}
	}
	return false
}

// seen notes a sequence that is there or should be. What lies between it and the one before was gone before a checkpoint covered it.
func (r *run) seen(sequence uint64) {
	if r.result.First == 0 {
		r.result.First = sequence
	}
	r.result.Last = max(r.result.Last, sequence)
	first, last := r.next, sequence-1
	if r.next > 0 && last >= first && r.chains.Linked() > 0 {
		if r.trimmed(first, last) {
			r.note("Records %d to %d were removed by a restore, because their events are not in the backup.", first, last)
		} else {
			r.fault(Fault{Kind: audit.Removed, Sequence: first, Until: last, Text: fmt.Sprintf("%s missing. No checkpoint covers them: what "+
				"they were is not known", records(first, last))})
		}
	}
	r.next = max(r.next, sequence+1)
}

// records names a range.
func records(first, last uint64) string {
	if first == last {
		return fmt.Sprintf("record %d is", first)
	}
	return fmt.Sprintf("records %d to %d are", first, last)
}
