package deliverylog

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/outbound-events/outbound/pkg/bus/internal/names"
	"github.com/outbound-events/outbound/pkg/bus/internal/wire"
	"github.com/outbound-events/outbound/pkg/event"
)

// IntakeFilter narrows a search for intake records; an empty field matches anything.
type IntakeFilter struct {
	Appliance string
	// Accepted and Rejected are the decisions that match; if neither is set, both do.
	Accepted, Rejected bool
	// Type, Session and ExternalKey are not in the subjects, so records are looked through for them.
	Type, Session, ExternalKey string
}

func (f IntakeFilter) decision() string {
	switch {
	case f.Accepted == f.Rejected:
		return "*"
	case f.Accepted:
		return "accepted"
	default:
		return "rejected"
	}
}

// files reports whether a subject matches the filter.
func (f IntakeFilter) files(subject string) bool {
	rest, ok := strings.CutPrefix(subject, names.SubjectIntake+".")
	t := strings.Split(rest, ".")
	return ok && len(t) == 3 && (f.Appliance == "" || f.Appliance == t[0]) && (f.decision() == "*" || f.decision() == t[1])
}

func (f IntakeFilter) has(r event.IntakeRecord) bool {
	return (f.Type == "" || f.Type == r.Type) && (f.Session == "" || f.Session == r.Session) &&
		(f.ExternalKey == "" || f.ExternalKey == r.ExternalKey)
}

// IntakeSearch goes through the intake records that a filter matches, newest first.
type IntakeSearch struct {
	h                   *Reader
	f                   IntakeFilter
	from, before        uint64
	span, passed, found uint64
	looked              int
}

// SearchIntakes begins a search. Before is never 0; Until has no meaning.
func (h *Reader) SearchIntakes(f IntakeFilter, r Range) *IntakeSearch {
	return &IntakeSearch{h: h, f: f, from: max(r.From, 1), before: r.Before}
}

// Before is where the search goes on: all records at this sequence and after it have been told. 0: all of them.
func (s *IntakeSearch) Before() uint64 {
	if s.before <= s.from {
		return 0
	}
	return s.before
}

// Looked is how many records the broker has sent so far.
func (s *IntakeSearch) Looked() int { return s.looked }

// Next tells the next records, newest first. There may be none though more follow. wanted is how many the caller has a use for.
func (s *IntakeSearch) Next(ctx context.Context, wanted int) ([]StoredIntake, error) {
	if s.Before() == 0 {
		return nil, nil
	}
	ms, err := s.window(ctx, wanted)
	if err != nil {
		return nil, fmt.Errorf("search intake: %w", err)
	}
	slices.Reverse(ms)
	return s.f.matching(ms)
}

// window reads the next window back. Refusals are few, so the broker picks them; else all records are read, which costs less
// than a match of all subjects.
func (s *IntakeSearch) window(ctx context.Context, wanted int) ([]*nats.Msg, error) {
	filter := ""
	s.span = max(s.span, firstSpan, uint64(2*wanted))
	if s.f.decision() == "rejected" {
		filter = strings.Join([]string{names.SubjectIntake, names.OrWildcard(s.f.Appliance), s.f.decision(), "*"}, ".")
	} else {
		s.span = min(s.span, lastSpan)
	}
	start := s.from
	if s.before-s.from > s.span {
		start = s.before - s.span
	}
	ms, err := s.h.between(ctx, filter, start, s.before-1)
	if err != nil {
		return nil, err
	}
	s.looked += len(ms)
	ms = slices.DeleteFunc(ms, func(m *nats.Msg) bool { return !s.f.files(wire.StoredSubject(m)) })
	s.passed += s.before - start
	s.found += uint64(len(ms))
	s.before = start
	grown := s.span * 8
	if s.found > 0 {
		grown = min(grown, uint64(wanted)*s.passed/s.found)
	}
	// What they hold may match less than their subjects.
	s.span = max(grown, 2*s.span)
	return ms, nil
}

// Intakes lists intake records newest first, those before a sequence of HISTORY (0: from the end), at most limit.
func (h *Reader) Intakes(ctx context.Context, appliance string, accepted, rejected bool, before uint64, limit int) ([]StoredIntake, error) {
	if before == 0 {
		last, err := h.LastSequence(ctx)
		if err != nil {
			return nil, err
		}
		before = last + 1
	}
	var out []StoredIntake
	for s := h.SearchIntakes(IntakeFilter{Appliance: appliance, Accepted: accepted, Rejected: rejected},
		Range{Before: before}); s.Before() > 0 && len(out) < limit; {
		more, err := s.Next(ctx, limit-len(out))
		if err != nil {
			return nil, err
		}
		out = append(out, more...)
	}
	return out[:min(limit, len(out))], nil
}
