package numbering

import "sort"

// state is what is known of a recipient.
type state struct {
	start  uint64
	number uint64
	// born is the sequence of its first change: nothing in front of it has a number. 0: it stands in front of what is remembered.
	born uint64
	// low is the sequence behind which numbers can be told.
	low uint64
	// blocked says that they can't be told at low or in front of it, for something is missing there.
	blocked bool
	// open says that the first epoch may have begun in front of its from.
	open    bool
	samples []sample
	epochs  []epoch
}

// sample is the last number that was given up to a sequence.
type sample struct{ sequence, number uint64 }

// epoch is what a recipient selects behind a sequence, up to the next epoch.
type epoch struct {
	from      uint64
	selection Selection
	// wants says of each entry whether it is selected, as far as that was looked up.
	wants []verdict
}

type verdict uint8

const (
	unknown verdict = iota
	wanted
	unwanted
)

// count gives the next number to a sequence.
func (s *state) count(sequence uint64) {
	s.number++
	if s.number%sampleEvery == 0 {
		s.sample(sequence, s.number)
	}
}

// sample notes a number, behind all others.
func (s *state) sample(sequence, number uint64) {
	if n := len(s.samples); n > 0 && s.samples[n-1].sequence == sequence {
		s.samples[n-1].number = number
		return
	}
	s.samples = append(s.samples, sample{sequence, number})
}

// nearest is the last sample up to a sequence, which is above low.
func (s *state) nearest(sequence uint64) sample {
	i := sort.Search(len(s.samples), func(i int) bool { return s.samples[i].sequence > sequence })
	return s.samples[i-1]
}

// epoch is the one that a sequence belongs to.
func (s *state) epoch(sequence uint64) *epoch {
	i := sort.Search(len(s.epochs), func(i int) bool { return s.epochs[i].from >= sequence })
	return &s.epochs[max(i-1, 0)]
}
