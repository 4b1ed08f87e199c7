package search

import (
	"context"

	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
)

// finder finds the records that match a filter, newest first.
type finder[T any] interface {
	// Next returns the next records. There may be none though more follow. wanted is how many the caller can use.
	Next(ctx context.Context, wanted int) ([]T, error)
	// Before is where the search goes on: all records from this sequence on have been returned. 0: there are no more.
	Before() uint64
	// Looked is how many records the broker has sent.
	Looked() int
}

// indexedFinder searches the index, and the log itself for what is newer or older than the index. The records that the index finds are
// read and compared with the filter again.
type indexedFinder[T any] struct {
	from, before uint64
	looked       int
	// part is the current search of the log, done how many of its records looked includes.
	part finder[T]
	done int

	// span and lookup ask the index; read reads records by their sequences; readRange reads a short part of the log, search a long one.
	span      func() (first, last uint64, ok bool)
	lookup    func(from, before uint64, most int) (found []uint64, reached uint64, ok bool)
	read      func(ctx context.Context, sequences []uint64) ([]T, error)
	readRange func(ctx context.Context, from, before uint64) ([]T, error)
	search    func(deliverylog.Range) finder[T]
}

// readableRange is how many sequences of the log are read in full rather than searched.
const readableRange = 1_000

func (t *indexedFinder[T]) Before() uint64 {
	if t.part != nil && t.part.Before() > 0 {
		return t.part.Before()
	}
	if t.before <= t.from {
		return 0
	}
	return t.before
}

func (t *indexedFinder[T]) Looked() int { return t.looked }

func (t *indexedFinder[T]) Next(ctx context.Context, wanted int) ([]T, error) {
	if t.part != nil && t.part.Before() > 0 {
		return t.searched(ctx, wanted)
	}
	t.part = nil
	if t.Before() == 0 {
		return nil, nil
	}
	if found, reached, ok := t.lookup(t.from, t.before, wanted); ok {
		t.before = reached
		t.looked += len(found)
		if len(found) == 0 {
			return nil, nil
		}
		return t.read(ctx, found)
	}
	r := deliverylog.Range{From: t.from, Before: t.before}
	if _, last, ok := t.span(); ok && t.before > last+1 {
		r.From = max(t.from, last+1)
	}
	t.before = r.From
	if r.Before-r.From <= readableRange {
		t.looked += int(r.Before - r.From) //nolint:gosec // at most readableRange
		return t.readRange(ctx, r.From, r.Before)
	}
	t.part, t.done = t.search(r), 0
	return t.searched(ctx, wanted)
}

func (t *indexedFinder[T]) searched(ctx context.Context, wanted int) ([]T, error) {
	out, err := t.part.Next(ctx, wanted)
	t.looked += t.part.Looked() - t.done
	t.done = t.part.Looked()
	return out, err
}

// findAttempts begins a search for records of attempts. The broker itself finds those of one event quickly.
func (s *Searcher) findAttempts(f deliverylog.AttemptFilter, r deliverylog.Range) finder[deliverylog.StoredRecord] {
	if f.EventID != "" || f.AnyOf != "" {
		return s.Log.SearchAttempts(f, r)
	}
	before := min(r.Before, r.Until+1)
	return &indexedFinder[deliverylog.StoredRecord]{
		from: max(r.From, 1), before: before, span: s.Index.Span,
		lookup: func(from, before uint64, most int) ([]uint64, uint64, bool) {
			return s.Index.Attempts(f, deliverylog.Range{From: from, Before: before, Until: r.Until}, most)
		},
		read: func(ctx context.Context, sequences []uint64) ([]deliverylog.StoredRecord, error) {
			return s.Log.PickAttempts(ctx, f, sequences)
		},
		readRange: func(ctx context.Context, from, before uint64) ([]deliverylog.StoredRecord, error) {
			return s.Log.AttemptsBetween(ctx, f, from, before)
		},
		search: func(part deliverylog.Range) finder[deliverylog.StoredRecord] {
			part.Until = r.Until
			return s.Log.SearchAttempts(f, part)
		},
	}
}

// findIntakes begins a search for records of decisions on events.
func (s *Searcher) findIntakes(f deliverylog.IntakeFilter, r deliverylog.Range) finder[deliverylog.StoredIntake] {
	return &indexedFinder[deliverylog.StoredIntake]{
		from: max(r.From, 1), before: r.Before, span: s.Index.Span,
		lookup: func(from, before uint64, most int) ([]uint64, uint64, bool) {
			return s.Index.Intakes(f, from, before, most)
		},
		read: func(ctx context.Context, sequences []uint64) ([]deliverylog.StoredIntake, error) {
			return s.Log.PickIntakes(ctx, f, sequences)
		},
		readRange: func(ctx context.Context, from, before uint64) ([]deliverylog.StoredIntake, error) {
			return s.Log.IntakesBetween(ctx, f, from, before)
		},
		search: func(part deliverylog.Range) finder[deliverylog.StoredIntake] { return s.Log.SearchIntakes(f, part) },
	}
}
