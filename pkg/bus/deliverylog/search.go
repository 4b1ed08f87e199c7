package deliverylog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go"

	"github.com/outbound-events/outbound/pkg/bus/internal/names"
	"github.com/outbound-events/outbound/pkg/bus/internal/wire"
)

// Range is a part of HISTORY by sequences.
type Range struct {
	// From is the first sequence that belongs to it; 0: the first there is.
	From uint64
	// Before is the first sequence behind it.
	Before uint64
	// Until is the last sequence there was when the search began: later records are taken for not written.
	Until uint64
}

// AttemptSearch goes through the records that a filter matches, newest first. Of each delivery and state at least the newest
// record of the range is told; earlier ones of the same state may be left out.
type AttemptSearch struct {
	h      *Reader
	f      AttemptFilter
	until  uint64
	from   uint64
	before uint64
	// span is how many sequences the next window has; passed, filed and looked count what the windows so far had, how much of it
	// matched by its subject, and what the broker sent.
	span, passed, filed uint64
	looked              int
	// dry is how many sequences have been passed since the last match.
	dry uint64
	// skipped says that passed and filed count from behind a stretch without matches.
	skipped bool
	// refused says that there are too many matches to be asked for at once.
	refused bool
}

// SearchAttempts begins a search.
func (h *Reader) SearchAttempts(f AttemptFilter, r Range) *AttemptSearch {
	return &AttemptSearch{h: h, f: f, until: r.Until, from: max(r.From, 1), before: min(r.Before, r.Until+1)}
}

// Before is where the search goes on: all records there are at this sequence and after it have been told. 0: all of them.
func (s *AttemptSearch) Before() uint64 {
	if s.before <= s.from {
		return 0
	}
	return s.before
}

// Looked is how many records the broker has sent so far.
func (s *AttemptSearch) Looked() int { return s.looked }

const (
	// firstSpan is the least window; lastSpan the largest of those that are read without a filter, whose every record is sent.
	firstSpan = 200
	lastSpan  = 4_000
	// probed is how many sequences are looked at before it is judged whether a filter matches so little that one request for
	// all of it is cheaper. The broker refuses such a request beyond 1,024 subjects, after it has looked at all of them.
	probed = 2_000
	few    = 700
)

// Next tells the next records, newest first. There may be none though more follow. wanted is how many the caller has a use for.
func (s *AttemptSearch) Next(ctx context.Context, wanted int) ([]StoredRecord, error) {
	if s.Before() == 0 {
		return nil, nil
	}
	ms, err := s.some(ctx, wanted)
	if err != nil {
		return nil, fmt.Errorf("search attempts: %w", err)
	}
	slices.SortFunc(ms, func(a, b *nats.Msg) int { return int(int64(wire.StoredSequence(b) - wire.StoredSequence(a))) })
	return s.f.matching(ms)
}

// some reads the next matches in the way that costs the broker least.
func (s *AttemptSearch) some(ctx context.Context, wanted int) ([]*nats.Msg, error) {
	if s.dry >= probed && s.f.narrow() && (!s.skipped || s.refused) {
		// What follows may be dense though it is old: it is looked at before it is judged.
		if err := s.skip(ctx); err != nil || s.Before() == 0 {
			return nil, err
		}
		return s.window(ctx, wanted)
	}
	if s.sparse() {
		ms, err := s.lasts(ctx, s.reach(wanted))
		if s.refused = errors.Is(err, wire.ErrTooMany); !s.refused {
			return ms, err
		}
	}
	return s.window(ctx, wanted)
}

// sparse reports whether so little matches that the last messages of all subjects that do are asked for at once.
func (s *AttemptSearch) sparse() bool {
	switch {
	case s.refused || !s.f.narrow():
		return false
	case s.f.Session != "" || s.f.ExternalKey != "" || s.f.EventID != "":
		return true
	default:
		return (s.passed >= probed || s.skipped && s.passed >= firstSpan) && s.filed*s.until < few*s.passed
	}
}

// reach is how far back the last messages are asked for: each part of the log that holds one has to be loaded by the broker.
func (s *AttemptSearch) reach(wanted int) uint64 {
	if s.filed == 0 || !s.f.leads() {
		return s.from
	}
	if span := 2 * uint64(wanted) * s.passed / s.filed; s.before-s.from > span {
		return s.before - span
	}
	return s.from
}

// lasts asks for the last message of each subject, of those that are at a sequence or behind it. What is later than the search is
// looked up as it was then.
func (s *AttemptSearch) lasts(ctx context.Context, start uint64) ([]*nats.Msg, error) {
	ms, err := s.h.conn.Direct(ctx, names.StreamHistory, wire.DirectRequest{MultiLast: s.f.subjects(), Sequence: start})
	if err != nil {
		return nil, err
	}
	s.looked += len(ms)
	var out []*nats.Msg
	for _, m := range ms {
		filed, ours := s.f.files(wire.StoredSubject(m))
		if wire.StoredSequence(m) > s.until && ours {
			if m, err = s.h.asOf(ctx, wire.StoredSubject(m), s.until); err != nil {
				return nil, err
			}
		}
		if m == nil || wire.StoredSequence(m) < start || wire.StoredSequence(m) >= s.before {
			continue
		}
		if filed {
			s.filed++
		}
		if ours {
			out = append(out, m)
		}
	}
	s.passed += s.before - start
	s.before = start
	return out, nil
}

// asOf is the last message of a subject up to a sequence, nil if there was none. A request for the last message up to a sequence
// would have the broker go through the whole stream where there is none.
func (h *Reader) asOf(ctx context.Context, subject string, until uint64) (*nats.Msg, error) {
	var last *nats.Msg
	for start := uint64(1); ; {
		ms, err := h.conn.Direct(ctx, names.StreamHistory, wire.DirectRequest{Sequence: start, NextFor: subject, Batch: batchSize})
		if err != nil || len(ms) == 0 {
			return last, err
		}
		for _, m := range ms {
			if wire.StoredSequence(m) > until {
				return last, nil
			}
			last = m
		}
		start = wire.StoredSequence(last) + 1
	}
}

// window reads the next window back and sets the size of the one after it by how much was found.
func (s *AttemptSearch) window(ctx context.Context, wanted int) ([]*nats.Msg, error) {
	filters := s.f.subjects()
	if !s.f.leads() {
		filters = []string{""}
	}
	s.span = max(s.span, firstSpan, uint64(2*wanted))
	switch {
	case filters[0] == "":
		s.span = min(s.span, lastSpan)
	case s.f.inside():
		s.span = max(s.span, lastSpan) // most of what matches by its subject will not match by what it holds
	}
	start := s.from
	if s.before-s.from > s.span {
		start = s.before - s.span
	}
	filedBefore := s.filed
	var out []*nats.Msg
	for _, f := range filters {
		ms, err := s.h.between(ctx, f, start, s.before-1)
		if err != nil {
			return nil, err
		}
		s.looked += len(ms)
		for _, m := range ms {
			filed, ours := s.f.files(wire.StoredSubject(m))
			if filed {
				s.filed++
			}
			if ours {
				out = append(out, m)
			}
		}
	}
	s.passed += s.before - start
	s.dry += s.before - start
	if s.filed > filedBefore {
		s.dry = 0
	}
	s.before = start
	grown := s.span * 8
	if len(out) > 0 {
		grown = min(grown, uint64(wanted)*s.passed/s.filed)
	}
	// The caller may have no use for most of what matches.
	s.span = max(grown, 2*s.span)
	return out, nil
}

// skip goes back to behind the newest match, if there has been none for a while: first by steps that grow, then by halves. The broker
// looks for the next match in its own memory, so that records which do not match need not travel.
func (s *AttemptSearch) skip(ctx context.Context) error {
	s.dry, s.passed, s.filed, s.span, s.skipped = 0, 0, 0, 0, true
	if s.f.leads() {
		if done, err := s.fall(ctx); done || err != nil {
			return err
		}
	}
	low := s.before
	var high uint64
	for step := uint64(lastSpan); ; step *= 2 {
		if low <= s.from {
			s.before = s.from
			return nil
		}
		high, low = low, max(s.from, low-min(low, step))
		found, err := s.h.matchIn(ctx, s.f, low, high)
		if err != nil {
			return err
		}
		if found {
			break
		}
	}
	for high-low > probed {
		middle := low + (high-low)/2
		found, err := s.h.matchIn(ctx, s.f, middle, high)
		switch {
		case err != nil:
			return err
		case found:
			low = middle
		default:
			high = middle
		}
	}
	s.before = high
	return nil
}

// fall goes back to behind the newest match of the whole log, which the broker finds at once where the filter leads. It is not done
// if that match has been passed.
func (s *AttemptSearch) fall(ctx context.Context) (done bool, err error) {
	newest := s.from
	for _, subject := range s.f.subjects() {
		ms, err := s.h.conn.Direct(ctx, names.StreamHistory, wire.DirectRequest{LastFor: subject})
		if err != nil {
			return false, err
		}
		if len(ms) == 1 {
			newest = max(newest, wire.StoredSequence(ms[0])+1)
		}
	}
	if newest > s.before {
		return false, nil
	}
	s.before = newest
	return true, nil
}

// matchIn reports whether a record from a sequence to before another matches a filter by its subject.
func (h *Reader) matchIn(ctx context.Context, f AttemptFilter, from, before uint64) (bool, error) {
	for _, subject := range f.subjects() {
		ms, err := h.conn.Direct(ctx, names.StreamHistory, wire.DirectRequest{Sequence: max(from, 1), NextFor: subject})
		if err != nil {
			return false, err
		}
		if len(ms) > 0 && wire.StoredSequence(ms[0]) < before {
			return true, nil
		}
	}
	return false, nil
}

// decode reads a record; ok is false if what it holds does not match.
func (f AttemptFilter) decode(m *nats.Msg) (r StoredRecord, ok bool, err error) {
	if f.inside() {
		var head recordHead
		if err := json.Unmarshal(m.Data, &head); err != nil {
			return r, false, fmt.Errorf("decode record %s: %w", wire.StoredSubject(m), err)
		}
		if !f.holds(head) {
			return r, false, nil
		}
	}
	r = StoredRecord{Sequence: wire.StoredSequence(m), Time: wire.StoredTime(m)}
	if err := json.Unmarshal(m.Data, &r.Record); err != nil {
		return r, false, fmt.Errorf("decode record %s: %w", wire.StoredSubject(m), err)
	}
	return r, true, nil
}
