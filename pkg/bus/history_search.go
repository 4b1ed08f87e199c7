package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/outbound-events/outbound/pkg/delivery"
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
	h      *History
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
	// asked says that the broker was asked for all matches at once.
	asked bool
}

// SearchAttempts begins a search.
func (h *History) SearchAttempts(f AttemptFilter, r Range) *AttemptSearch {
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
	ms, err := []*nats.Msg(nil), errTooMany
	if s.sparse(wanted) {
		s.asked = true
		if ms, err = s.all(ctx); err == nil {
			s.before = s.from
		}
	}
	if errors.Is(err, errTooMany) {
		if err = s.skip(ctx); err == nil && s.Before() > 0 {
			ms, err = s.window(ctx, wanted)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("search attempts: %w", err)
	}
	slices.SortFunc(ms, func(a, b *nats.Msg) int { return int(int64(storedSequence(b) - storedSequence(a))) })
	out := make([]StoredRecord, 0, len(ms))
	for _, m := range ms {
		r, ok, err := s.f.decode(m)
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, r)
		}
	}
	return out, nil
}

// sparse reports whether all matches are to be asked for at once. That loads every part of the log that holds one, so where the
// broker can also find the next match by itself, it is for filters whose few matches are spread over the whole log.
func (s *AttemptSearch) sparse(wanted int) bool {
	switch {
	case s.asked || !s.f.narrow():
		return false
	case s.f.Session != "" || s.f.ExternalKey != "" || s.f.EventID != "":
		return true
	case s.f.leads():
		return s.passed >= max(probed, s.until/16) && s.filed*s.until < uint64(2*wanted)*s.passed
	default:
		return s.passed >= probed && s.filed*s.until < few*s.passed
	}
}

// all asks for the last message of each subject. What is later than the search is looked up as it was then.
func (s *AttemptSearch) all(ctx context.Context) ([]*nats.Msg, error) {
	ms, err := s.h.conn.direct(ctx, StreamHistory, directRequest{MultiLast: s.f.subjects()})
	if err != nil {
		return nil, err
	}
	s.looked += len(ms)
	var out []*nats.Msg
	for _, m := range ms {
		if _, ours := s.f.files(storedSubject(m)); !ours {
			continue
		}
		if storedSequence(m) > s.until {
			if m, err = s.h.asOf(ctx, storedSubject(m), s.until); err != nil {
				return nil, err
			}
		}
		if m != nil && storedSequence(m) >= s.from && storedSequence(m) < s.before {
			out = append(out, m)
		}
	}
	return out, nil
}

// asOf is the last message of a subject up to a sequence, nil if there was none. A request for the last message up to a sequence
// would have the broker go through the whole stream where there is none.
func (h *History) asOf(ctx context.Context, subject string, until uint64) (*nats.Msg, error) {
	var last *nats.Msg
	for start := uint64(1); ; {
		ms, err := h.conn.direct(ctx, StreamHistory, directRequest{Sequence: start, NextFor: subject, Batch: batchSize})
		if err != nil || len(ms) == 0 {
			return last, err
		}
		for _, m := range ms {
			if storedSequence(m) > until {
				return last, nil
			}
			last = m
		}
		start = storedSequence(last) + 1
	}
}

// window reads the next window back and sets the size of the one after it by how much was found.
func (s *AttemptSearch) window(ctx context.Context, wanted int) ([]*nats.Msg, error) {
	filters := s.f.subjects()
	if !s.f.leads() {
		filters = []string{""}
	}
	s.span = max(s.span, firstSpan, uint64(2*wanted))
	if filters[0] == "" {
		s.span = min(s.span, lastSpan)
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
			filed, ours := s.f.files(storedSubject(m))
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
	if s.dry < probed || !s.f.narrow() || s.f.leads() {
		return nil
	}
	s.dry = 0
	low, high := s.before, uint64(0)
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

// matchIn reports whether a record from a sequence to before another matches a filter by its subject.
func (h *History) matchIn(ctx context.Context, f AttemptFilter, from, before uint64) (bool, error) {
	for _, subject := range f.subjects() {
		ms, err := h.conn.direct(ctx, StreamHistory, directRequest{Sequence: max(from, 1), NextFor: subject})
		if err != nil {
			return false, err
		}
		if len(ms) > 0 && storedSequence(ms[0]) < before {
			return true, nil
		}
	}
	return false, nil
}

// Newest says of each record whether it is the newest of its delivery as of a sequence.
func (h *History) Newest(ctx context.Context, records []StoredRecord, until uint64) ([]bool, error) {
	newest := map[string]uint64{}
	for part := range slices.Chunk(records, keysAtOnce) {
		filters := make([]string, 0, len(part))
		for _, r := range part {
			filters = append(filters, r.filter().subject())
		}
		slices.Sort(filters)
		ms, err := h.conn.direct(ctx, StreamHistory, directRequest{MultiLast: slices.Compact(filters)})
		if err != nil {
			return nil, fmt.Errorf("look for newer records: %w", err)
		}
		for _, m := range ms {
			if storedSequence(m) > until {
				if m, err = h.asOf(ctx, storedSubject(m), until); err != nil {
					return nil, fmt.Errorf("look for newer records: %w", err)
				}
			}
			if m != nil {
				of := withoutState(storedSubject(m))
				newest[of] = max(newest[of], storedSequence(m))
			}
		}
	}
	out := make([]bool, len(records))
	for i, r := range records {
		out[i] = newest[withoutState(r.filter().subject())] == r.Sequence
	}
	return out, nil
}

// keysAtOnce is how many deliveries are looked up by one request: with seven states each it stays within the broker's 1,024.
const keysAtOnce = 100

// withoutState is what the subjects of one delivery's records have in common.
func withoutState(subject string) string {
	tokens := strings.Split(subject, ".")
	tokens[tokenState] = "*"
	return strings.Join(tokens, ".")
}

// AttemptsOf are all records of one delivery, oldest first; eventID is within the appliance.
func (h *History) AttemptsOf(ctx context.Context, r delivery.Record) ([]StoredRecord, error) {
	one := StoredRecord{Record: r}
	ms, err := h.conn.direct(ctx, StreamHistory, directRequest{MultiLast: []string{one.filter().subject()}})
	if err != nil {
		return nil, fmt.Errorf("read the records of a delivery: %w", err)
	}
	var out []StoredRecord
	for _, m := range ms {
		for start := uint64(1); ; {
			of, err := h.conn.direct(ctx, StreamHistory, directRequest{Sequence: start, NextFor: storedSubject(m), Batch: batchSize})
			if err != nil {
				return nil, fmt.Errorf("read the records of a delivery: %w", err)
			}
			if len(of) == 0 {
				break
			}
			for _, x := range of {
				rec, _, err := AttemptFilter{}.decode(x)
				if err != nil {
					return nil, err
				}
				out = append(out, rec)
			}
			start = storedSequence(of[len(of)-1]) + 1
		}
	}
	slices.SortFunc(out, func(a, b StoredRecord) int { return int(int64(a.Sequence - b.Sequence)) })
	return out, nil
}

// Behind tells the records behind a sequence that a filter matches, in the order of the log, and returns the last sequence that
// was looked at.
func (h *History) Behind(ctx context.Context, f AttemptFilter, after uint64, tell func(StoredRecord)) (uint64, error) {
	for {
		ms, err := h.conn.direct(ctx, StreamHistory, directRequest{Sequence: after + 1, Batch: batchSize})
		if err != nil || len(ms) == 0 {
			return after, err
		}
		for _, m := range ms {
			after = storedSequence(m)
			if _, ours := f.files(storedSubject(m)); !ours {
				continue
			}
			r, ok, err := f.decode(m)
			if err != nil {
				return after, err
			}
			if ok {
				tell(r)
			}
		}
		if len(ms) < batchSize {
			return after, nil
		}
	}
}

// LastSequence is the last sequence of HISTORY.
func (h *History) LastSequence(ctx context.Context) (uint64, error) {
	s, err := h.conn.js.Stream(ctx, StreamHistory)
	if err != nil {
		return 0, fmt.Errorf("look at the end of the log: %w", err)
	}
	return s.CachedInfo().State.LastSeq, nil
}

// SequenceAt is the first sequence of HISTORY that was stored at a time or later; ok is false if there is none.
func (h *History) SequenceAt(ctx context.Context, t time.Time) (sequence uint64, ok bool, err error) {
	return h.conn.sequenceAt(ctx, StreamHistory, t)
}

// EventSequenceAt is the first sequence of EVENTS that was stored at a time or later; ok is false if there is none.
func (c *Conn) EventSequenceAt(ctx context.Context, t time.Time) (sequence uint64, ok bool, err error) {
	return c.sequenceAt(ctx, StreamEvents, t)
}

func (c *Conn) sequenceAt(ctx context.Context, stream string, t time.Time) (uint64, bool, error) {
	ms, err := c.direct(ctx, stream, directRequest{StartTime: &t, Batch: 1})
	if err != nil || len(ms) == 0 {
		return 0, false, err
	}
	return storedSequence(ms[0]), true, nil
}

// decode reads a record; ok is false if what it holds does not match.
func (f AttemptFilter) decode(m *nats.Msg) (r StoredRecord, ok bool, err error) {
	if f.Has != nil {
		var head RecordHead
		if err := json.Unmarshal(m.Data, &head); err != nil {
			return r, false, fmt.Errorf("decode record %s: %w", storedSubject(m), err)
		}
		if !f.Has(head) {
			return r, false, nil
		}
	}
	r = StoredRecord{Sequence: storedSequence(m), Time: storedTime(m)}
	if err := json.Unmarshal(m.Data, &r.Record); err != nil {
		return r, false, fmt.Errorf("decode record %s: %w", storedSubject(m), err)
	}
	return r, true, nil
}
