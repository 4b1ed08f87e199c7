package numbering

import "sort"

// Next is the first delivery of a recipient whose number is greater than one: where its event stands in EVENTS, and its number. A sequence
// of 0 that is Known says that there is none yet. What EVENTS has lost is passed over, and so is what stands in front of begins, the first
// sequence that it has: the number that is returned may be greater by more than one. Below says that Lower has to read first.
func (c *Counter) Next(recipient string, after, begins uint64) (sequence, number uint64, answer Answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.recipients[recipient]
	if s == nil || s.number <= after {
		return 0, 0, Known
	}
	if s.samples[0].number > after {
		if c.lower(s); s.samples[0].number > after && !s.whole(begins) {
			return 0, 0, Below
		}
	}
	i := sort.Search(len(s.samples), func(i int) bool { return s.samples[i].number > after })
	from := s.samples[max(i-1, 0)]
	c.asked = min(c.asked, max(from.sequence, s.low+1))
	n := from.number
	for at := from.sequence + 1; at <= c.through; at++ {
		entry := c.tape[at-c.base]
		switch {
		case entry == entryLost:
			n++
		case c.wants(s.epoch(at), entry):
			if n++; n > after {
				return at, n, Known
			}
		}
	}
	return 0, 0, Known
}

// whole reports whether no more numbers of a recipient can be known.
func (s *state) whole(begins uint64) bool {
	return s.blocked || s.born > 0 && s.low <= s.born || s.low < begins
}

// Begins is the first sequence of EVENTS that is remembered.
func (c *Counter) Begins() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.base
}

// Last is the last number that a recipient was given up to a sequence of EVENTS, and the last one at all. Below says that Lower has to read
// first.
func (c *Counter) Last(recipient string, sequence, begins uint64) (upTo, last uint64, answer Answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.recipients[recipient]
	if s == nil {
		return 0, 0, Known
	}
	if sequence >= c.through {
		return s.number, s.number, Known
	}
	c.asked = min(c.asked, sequence)
	if sequence <= s.low {
		c.lower(s)
	}
	switch {
	case sequence > s.low:
		return c.at(s, sequence), s.number, Known
	case s.whole(begins):
		return s.samples[0].number, s.number, Known
	default:
		return 0, s.number, Below
	}
}
