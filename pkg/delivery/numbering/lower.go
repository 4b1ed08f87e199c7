package numbering

import "slices"

// Lower is given the messages of EVENTS that stand in front of what a Counter remembers, so that it can tell their numbers too.
type Lower struct {
	c     *Counter
	first uint64
	end   uint64
	tape  []uint32
	past  map[uint64]Change
}

// Lower begins with a sequence. It returns nil if nothing is to be read: what stands there is remembered, or somebody else reads.
func (c *Counter) Lower(first uint64) *Lower {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.extending || first >= c.base {
		return nil
	}
	c.extending = true
	return &Lower{c: c, first: first, end: c.base, past: map[uint64]Change{}}
}

// End is the sequence before which Add ends.
func (l *Lower) End() uint64 { return l.end }

// Add takes the next message. See Counter.Add; what stands at End or behind it is left alone.
func (l *Lower) Add(sequence uint64, appliance, eventType string, change *Change) {
	if sequence < l.first || sequence >= l.end {
		return
	}
	l.fill(sequence)
	l.c.mu.Lock()
	entry := l.c.entry(appliance, eventType, change)
	l.c.mu.Unlock()
	l.tape = append(l.tape, entry)
	if change != nil && change.Channel == l.c.channel {
		l.past[sequence] = *change
	}
}

// fill notes that what stands in front of a sequence is missing.
func (l *Lower) fill(sequence uint64) {
	for l.first+uint64(len(l.tape)) < sequence {
		l.tape = append(l.tape, entryLost)
	}
}

// Close ends it. What was added counts only if it is complete.
func (l *Lower) Close(complete bool) {
	c := l.c
	if complete {
		l.fill(l.end)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.extending = false
	if !complete || c.base != l.end {
		return
	}
	c.tape, c.base = append(l.tape, c.tape...), l.first
	for sequence, x := range l.past {
		c.past[sequence] = x
	}
}

// lower makes the numbers of a recipient known as far down as the tape goes.
func (c *Counter) lower(s *state) {
	if s.blocked || s.low < c.base || s.low > c.through || s.born > 0 && s.low <= s.born {
		return
	}
	var samples []sample
	n, at := s.samples[0].number, s.low
	for ; at >= c.base; at-- {
		if s.born > 0 && at <= s.born {
			break
		}
		entry := c.tape[at-c.base]
		if entry == entryChange && c.cross(s, at) {
			samples = append(samples, sample{at, n})
			if s.born > 0 {
				break
			}
		}
		if entry == entryLost || n == 0 && c.wants(s.epoch(at), entry) {
			s.blocked = true
			break
		}
		if c.wants(s.epoch(at), entry) {
			if n--; n%sampleEvery == 0 {
				samples = append(samples, sample{at - 1, n})
			}
		}
	}
	if s.low = at; len(samples) == 0 || samples[len(samples)-1].sequence != at {
		samples = append(samples, sample{at, n})
	}
	slices.Reverse(samples)
	if last := samples[len(samples)-1]; last.sequence == s.samples[0].sequence {
		samples = samples[:len(samples)-1]
	}
	s.samples = append(samples, s.samples...)
}

// cross goes by a change on the way down, and reports whether it is one of the recipient.
func (c *Counter) cross(s *state, at uint64) bool {
	x, there := c.past[at]
	if !there || !s.open || c.recipients[x.Recipient] != s || at > s.epochs[0].from {
		return s.begins(at)
	}
	s.epochs[0].from = at
	if x.Before == nil || x.Start != s.start {
		s.open, s.born = false, at
		return true
	}
	s.epochs = slices.Insert(s.epochs, 0, epoch{from: at, selection: *x.Before})
	return true
}

// begins reports whether one of the epochs that are known begins at a sequence.
func (s *state) begins(at uint64) bool {
	return slices.ContainsFunc(s.epochs, func(e epoch) bool { return e.from == at })
}

// Trim forgets what nobody has asked for in the time of the last two calls.
func (c *Counter) Trim() {
	c.mu.Lock()
	defer c.mu.Unlock()
	keep := min(c.asked, c.askedBefore, c.through-min(c.through, keepTape)+1)
	c.asked, c.askedBefore = none, c.asked
	if c.extending || keep <= c.base {
		return
	}
	for _, s := range c.recipients {
		c.trim(s, keep-1)
	}
	c.tape = slices.Clone(c.tape[keep-c.base:])
	c.base = keep
	for sequence := range c.past {
		if sequence < keep {
			delete(c.past, sequence)
		}
	}
}

// trim forgets the numbers of a recipient up to a sequence.
func (c *Counter) trim(s *state, low uint64) {
	if s.low >= low {
		return
	}
	first := sample{low, c.at(s, low)}
	i := 0
	for i < len(s.samples) && s.samples[i].sequence <= low {
		i++
	}
	s.samples = append([]sample{first}, s.samples[i:]...)
	s.low = low
}
