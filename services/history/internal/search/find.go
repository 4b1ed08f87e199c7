package search

import (
	"context"

	"github.com/outbound-events/outbound/pkg/bus"
)

// finder goes through the records that a filter matches, newest first.
type finder[T any] interface {
	// Next finds the next ones. There may be none though more follow. wanted is how many the caller has a use for.
	Next(ctx context.Context, wanted int) ([]T, error)
	// Before is where the search goes on: all records at this sequence and behind it have been told. 0: all of them.
	Before() uint64
	// Looked is how many records the broker has sent so far.
	Looked() int
}

// through is a search through the index, and through the log itself for what is newer or older than what the index holds. What the index
// finds is read, and compared with the filter once more.
type through[T any] struct {
	from, before uint64
	looked       int
	// part is the search of the log that is under way, done how much it had looked at when looked was last counted.
	part finder[T]
	done int

	// span and filed ask the index; pick reads records by their sequences; near reads a short part of the log, search a long one.
	span   func() (first, last uint64, ok bool)
	filed  func(from, before uint64, most int) (found []uint64, reached uint64, ok bool)
	pick   func(ctx context.Context, sequences []uint64) ([]T, error)
	near   func(ctx context.Context, from, before uint64) ([]T, error)
	search func(bus.Range) finder[T]
}

// nearby is how many sequences of the log are read whole rather than searched.
const nearby = 1_000

func (t *through[T]) Before() uint64 {
	if t.part != nil && t.part.Before() > 0 {
		return t.part.Before()
	}
	if t.before <= t.from {
		return 0
	}
	return t.before
}

func (t *through[T]) Looked() int { return t.looked }

func (t *through[T]) Next(ctx context.Context, wanted int) ([]T, error) {
	if t.part != nil && t.part.Before() > 0 {
		return t.searched(ctx, wanted)
	}
	t.part = nil
	if t.Before() == 0 {
		return nil, nil
	}
	if found, reached, ok := t.filed(t.from, t.before, wanted); ok {
		t.before = reached
		t.looked += len(found)
		if len(found) == 0 {
			return nil, nil
		}
		return t.pick(ctx, found)
	}
	r := bus.Range{From: t.from, Before: t.before}
	if _, last, ok := t.span(); ok && t.before > last+1 {
		r.From = max(t.from, last+1)
	}
	t.before = r.From
	if r.Before-r.From <= nearby {
		t.looked += int(r.Before - r.From) //nolint:gosec // at most nearby
		return t.near(ctx, r.From, r.Before)
	}
	t.part, t.done = t.search(r), 0
	return t.searched(ctx, wanted)
}

func (t *through[T]) searched(ctx context.Context, wanted int) ([]T, error) {
	out, err := t.part.Next(ctx, wanted)
	t.looked += t.part.Looked() - t.done
	t.done = t.part.Looked()
	return out, err
}

// findAttempts begins a search for records of attempts. By an event the broker finds them at once.
func (s *Searcher) findAttempts(f bus.AttemptFilter, r bus.Range) finder[bus.StoredRecord] {
	if f.EventID != "" || f.AnyOf != "" {
		return s.Log.SearchAttempts(f, r)
	}
	before := min(r.Before, r.Until+1)
	return &through[bus.StoredRecord]{
		from: max(r.From, 1), before: before, span: s.Index.Span,
		filed: func(from, before uint64, most int) ([]uint64, uint64, bool) {
			return s.Index.Attempts(f, from, before, r.Until, most)
		},
		pick: func(ctx context.Context, sequences []uint64) ([]bus.StoredRecord, error) {
			return s.Log.PickAttempts(ctx, f, sequences)
		},
		near: func(ctx context.Context, from, before uint64) ([]bus.StoredRecord, error) {
			return s.Log.AttemptsBetween(ctx, f, from, before)
		},
		search: func(part bus.Range) finder[bus.StoredRecord] {
			part.Until = r.Until
			return s.Log.SearchAttempts(f, part)
		},
	}
}

// findIntakes begins a search for records of decisions on events.
func (s *Searcher) findIntakes(f bus.IntakeFilter, r bus.Range) finder[bus.StoredIntake] {
	return &through[bus.StoredIntake]{
		from: max(r.From, 1), before: r.Before, span: s.Index.Span,
		filed: func(from, before uint64, most int) ([]uint64, uint64, bool) {
			return s.Index.Intakes(f, from, before, most)
		},
		pick: func(ctx context.Context, sequences []uint64) ([]bus.StoredIntake, error) {
			return s.Log.PickIntakes(ctx, f, sequences)
		},
		near: func(ctx context.Context, from, before uint64) ([]bus.StoredIntake, error) {
			return s.Log.IntakesBetween(ctx, f, from, before)
		},
		search: func(part bus.Range) finder[bus.StoredIntake] { return s.Log.SearchIntakes(f, part) },
	}
}
