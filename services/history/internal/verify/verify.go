// Package verify compares the delivery log with what its chains and its signed checkpoints say it was, and makes receipts.
package verify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/outbound-events/outbound/pkg/audit"
	"github.com/outbound-events/outbound/pkg/bus/checkpoints"
	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/delivery/chain"
	"github.com/outbound-events/outbound/pkg/tlog"
)

// Deps are what a verifier needs.
type Deps struct {
	Log         *deliverylog.Records
	Checkpoints *checkpoints.Log
	// Keys verify checkpoints. Nil: no checkpoints are made, and the records have their chains alone.
	Keys *tlog.Keys
	// Cover signs a checkpoint over all that is stored, if this process can. Nil: it can't.
	Cover func(context.Context) error
	// Now is the broker's time.
	Now func() time.Time
}

// Verifier verifies the log.
type Verifier struct {
	Deps
	running chan struct{}
}

// New makes a verifier.
func New(d Deps) *Verifier { return &Verifier{Deps: d, running: make(chan struct{}, 1)} }

// ErrBusy says that a verification runs: it reads the whole log.
var ErrBusy = errors.New("a verification is running")

// Request says what is verified.
type Request struct {
	// Since is the time from which on records are compared; zero: all.
	Since time.Time
	// HeadNumber and HeadHash are a checkpoint that was noted before; 0: none.
	HeadNumber uint64
	HeadHash   string
	// Progress is called now and then. Nil: nobody is told.
	Progress func(Result) error
}

// Fault is what is wrong, in the words of the audit log.
type Fault struct {
	// Kind is REMOVED, CHANGED, INSERTED or REORDERED.
	Kind string
	// Sequence is the record's in HISTORY, Until the last one's if there are several, which follow each other. 0: it is about a checkpoint.
	Sequence, Until uint64
	// Checkpoint is the number of a checkpoint; 0: it is about records, or the number is not known.
	Checkpoint uint64
	// What, Recipient and Event say what the record is about, as far as that is known.
	What, Recipient, Event string
	Text                   string
}

// Result is what a verification has found.
type Result struct {
	Faults []Fault
	// Omitted is how many faults are not listed.
	Omitted uint64
	// Records is how many records were read, Chained how many of them are in chains, Covered how many a checkpoint covers.
	Records, Chained, Covered uint64
	// First and Last are the sequences of the first and the last record that was compared, or that should be there.
	First, Last uint64
	// CoveredFirst and CoveredLast are those that checkpoints cover.
	CoveredFirst, CoveredLast uint64
	// Checkpoints is how many were verified. HeadNumber and HeadHash are the newest one.
	Checkpoints uint64
	HeadNumber  uint64
	HeadHash    string
	HeadTime    time.Time
	// Notes say what is no fault and should be known.
	Notes []string
}

const (
	// maxFaults is how many faults are listed.
	maxFaults = 10_000
	// maxDoubts is how many records that are not what they should be are compared with each other.
	maxDoubts = 200_000
	// progressEvery is after how many records progress is told.
	progressEvery = 20_000
)

// run is one verification.
type run struct {
	*Verifier
	Request
	result Result
	extent deliverylog.Extent
	trims  []checkpoints.Trim
	survey survey
	doubts doubts
	chains *chain.Verifier
	// next is the sequence behind the last one that was seen; 0: none was.
	next uint64
}

// Verify compares the log. One verification runs at a time: ErrBusy.
func (v *Verifier) Verify(ctx context.Context, q Request) (Result, error) {
	select {
	case v.running <- struct{}{}:
		defer func() { <-v.running }()
	default:
		return Result{}, ErrBusy
	}
	r := &run{Verifier: v, Request: q, chains: chain.NewVerifier(), doubts: doubts{homes: map[chain.Digest]uint64{}}}
	if v.Cover != nil {
		// What it does not cover has its chains.
		if err := v.Cover(ctx); err != nil {
			r.note("Records since the last checkpoint are verified by their chains alone (%v).", err)
		}
	}
	var err error
	if r.extent, err = v.Log.Extent(ctx); err != nil {
		return Result{}, err
	}
	if r.trims, err = v.Checkpoints.Trims(ctx); err != nil {
		return Result{}, err
	}
	if err := r.look(ctx); err != nil {
		return Result{}, err
	}
	if err := r.compare(ctx); err != nil {
		return Result{}, err
	}
	if err := r.judge(ctx); err != nil {
		return Result{}, err
	}
	return r.result, nil
}

func (r *run) note(format string, args ...any) {
	r.result.Notes = append(r.result.Notes, fmt.Sprintf(format, args...))
}

func (r *run) fault(f Fault) {
	if len(r.result.Faults) >= maxFaults {
		r.result.Omitted++
		return
	}
	r.result.Faults = append(r.result.Faults, f)
}

// trimmed reports whether a restore has removed records of a range.
func (r *run) trimmed(first, last uint64) bool {
	return slices.ContainsFunc(r.trims, func(t checkpoints.Trim) bool { return t.From <= last && first <= t.To })
}

// judge names what was found, in the order of the log.
func (r *run) judge(ctx context.Context) error {
	// Records may have gone by their age meanwhile.
	extent, err := r.Log.Extent(ctx)
	if err != nil {
		return err
	}
	r.doubts.missing = slices.DeleteFunc(r.doubts.missing, func(e tlog.Entry) bool { return e.Sequence < extent.First && r.old(extent, e) })
	for _, f := range r.doubts.faults() {
		r.fault(f)
	}
	r.addChains()
	r.result.Chained = r.chains.Linked()
	slices.SortStableFunc(r.result.Faults, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.Sequence, b.Sequence), cmp.Compare(a.Checkpoint, b.Checkpoint))
	})
	return nil
}

// addChains adds what the chains tell and the checkpoints do not.
func (r *run) addChains() {
	known := r.result.Faults
	named := func(first, last uint64) bool {
		return slices.ContainsFunc(known, func(f Fault) bool { return f.Sequence > 0 && f.Sequence <= last && first <= max(f.Sequence, f.Until) })
	}
	for _, f := range r.chains.End() {
		out := Fault{Kind: f.Kind, Sequence: f.Sequence, Until: f.Sequence, Text: f.Text}
		if f.Kind == audit.Removed {
			if named(f.After+1, f.Before-1) || r.trimmed(f.After+1, f.Before-1) {
				continue
			}
			out.Sequence, out.Until = min(f.After+1, f.Before), max(f.Before-1, f.After)
		} else if named(f.Sequence, f.Sequence) {
			continue
		}
		out.What, out.Recipient, out.Event = deliverylog.About(r.doubts.subjects[f.Sequence])
		r.fault(out)
	}
}

// old reports whether the bounds of the log drop a record.
func (r *run) old(x deliverylog.Extent, e tlog.Entry) bool {
	const slack, nearlyFull = time.Hour, 0.9
	return x.MaxAge > 0 && r.Now().Sub(e.Stored) > x.MaxAge-slack || x.MaxRecords > 0 && x.Last+1-e.Sequence > x.MaxRecords-x.MaxRecords/100 ||
		x.MaxBytes > 0 && float64(x.Bytes) > nearlyFull*float64(x.MaxBytes)
}
