package maintenance

import (
	"slices"
	"sync"
	"time"
)

// Schedule are the windows of one recipient. Nil has none. It may be used by many goroutines.
type Schedule struct {
	windows []Window

	mu sync.Mutex
	// blocks are all there are between from and to, in order.
	from, to time.Time
	blocks   []Block
}

// New returns a schedule; nil without windows.
func New(windows []Window) *Schedule {
	if len(windows) == 0 {
		return nil
	}
	return &Schedule{windows: windows}
}

// Windows returns its windows.
func (s *Schedule) Windows() []Window {
	if s == nil {
		return nil
	}
	return s.windows
}

// around is how far before and after a time it is looked for what is held then.
const around = MaxHeld + day

// At returns the block that is open at a time.
func (s *Schedule) At(t time.Time) (Block, bool) {
	for _, b := range s.between(t.Add(-around), t.Add(around)) {
		if !t.Before(b.Start) && t.Before(b.End) {
			return b, true
		}
	}
	return Block{}, false
}

// Next returns the first block that opens after a time, within 8 days.
func (s *Schedule) Next(t time.Time) (Block, bool) {
	for _, b := range s.between(t.Add(-around), t.Add(around)) {
		if b.Start.After(t) && b.Start.Before(t.Add(around)) {
			return b, true
		}
	}
	return Block{}, false
}

// Last returns the last block that has closed at a time, within 8 days.
func (s *Schedule) Last(t time.Time) (last Block, ok bool) {
	for _, b := range s.between(t.Add(-around), t.Add(around)) {
		if !b.End.After(t) && b.End.After(t.Add(-around)) {
			last, ok = b, true
		}
	}
	return last, ok
}

// DrainRate is how many deliveries a second may follow the last window, at a time, of those that it held; 0: as many as usual. since is
// when the delivery was accepted, or attempted last.
func (s *Schedule) DrainRate(since, now time.Time) int {
	if last, ok := s.Last(now); ok && since.Before(last.End) {
		return last.DrainRate
	}
	return 0
}

// End is when a span that begins at a time ends if the time in which deliveries are held does not count.
func (s *Schedule) End(begin time.Time, span time.Duration) time.Time {
	end := begin.Add(span)
	if s == nil {
		return end
	}
	for _, b := range s.between(begin, begin.Add(2*around)) {
		if !b.Start.Before(end) {
			break
		}
		if b.End.After(begin) {
			end = end.Add(b.End.Sub(later(b.Start, begin)))
		}
	}
	return end
}

// Longest returns the longest block there is about now and about each window that comes once.
func (s *Schedule) Longest(now time.Time) (longest Block) {
	if s == nil {
		return Block{}
	}
	times := []time.Time{now}
	for _, w := range s.windows {
		if !w.Weekly() {
			times = append(times, w.Start, w.End)
		}
	}
	for _, t := range times {
		for _, b := range merge(s.windows, t.Add(-around), t.Add(around)) {
			if b.End.Sub(b.Start) > longest.End.Sub(longest.Start) {
				longest = b
			}
		}
	}
	return longest
}

// between returns the blocks between two times, at least.
func (s *Schedule) between(from, to time.Time) []Block {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.from.IsZero() || from.Before(s.from) || to.After(s.to) {
		s.from, s.to = from.Add(-around), to.Add(around)
		s.blocks = merge(s.windows, s.from, s.to)
	}
	return s.blocks
}

// merge returns the blocks of windows between two times.
func merge(windows []Window, from, to time.Time) (out []Block) {
	var all []Block
	for _, w := range windows {
		all = append(all, w.within(from, to)...)
	}
	slices.SortStableFunc(all, func(a, b Block) int { return a.Start.Compare(b.Start) })
	for _, b := range all {
		if len(out) == 0 || b.Start.After(out[len(out)-1].End) {
			out = append(out, b)
			continue
		}
		last := &out[len(out)-1]
		if b.End.After(last.End) {
			last.End, last.Zone = b.End, b.Zone
		}
		if b.DrainRate > 0 && (last.DrainRate == 0 || b.DrainRate < last.DrainRate) {
			last.DrainRate = b.DrainRate
		}
	}
	return out
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
