package numbering

import (
	"slices"
	"strings"
	"sync"
)

// subject is what an event is selected by.
type subject struct{ appliance, eventType string }

const (
	// sampleEvery is how many numbers are between two samples of a recipient.
	sampleEvery = 128
	// keepTape is how many of the last messages of EVENTS are remembered in any case.
	keepTape = 256 << 10
	// maxStash is how many offered messages are kept that stand behind one that is not known yet.
	maxStash = 16 << 10
	// maxGap is how many messages in a row may be missing before what stands in front of them is forgotten.
	maxGap = 4096
)

// What the tape holds of a message: a subject counted from subjectFirst on, or one of these.
const (
	// entryOther is a replay, a test, or something else that has no number of its own.
	entryOther uint32 = iota
	// entryLost is a sequence that EVENTS has no message of, though it had one.
	entryLost
	// entryChange is a Change.
	entryChange
	subjectFirst
)

// Answer says what a Counter knows of a message.
type Answer int

// The answers.
const (
	// Known is that the number is certain. 0: the message has none.
	Known Answer = iota + 1
	// Behind is that the message was not counted yet.
	Behind
	// Below is that the message stands in front of what is remembered: see Lower.
	Below
)

// Counter counts the events that the recipients of a channel select. Its methods may be called concurrently.
type Counter struct {
	channel string

	mu      sync.Mutex
	through uint64
	floor   uint64
	// subjects are the entries of subjects, named the reverse, from subjectFirst on.
	subjects map[subject]uint32
	named    []subject
	// tape is what EVENTS holds, one entry for each sequence, from base to through.
	tape []uint32
	base uint64
	// past are the changes on the tape that stand in front of the first Checkpoint, by their sequences.
	past       map[uint64]Change
	recipients map[string]*state
	// index has the recipients that select a subject, by its entry; nil: it has to be looked up.
	index [][]*state
	// stash are the entries of messages that were offered and stand behind one that is not known yet.
	stash map[uint64]uint32
	// waiters are closed when their sequence is counted.
	waiters map[uint64][]chan struct{}
	// asked is the lowest sequence that was asked for since the last Trim, askedBefore that before it.
	asked, askedBefore uint64
	extending          bool
}

// NewCounter goes on from a checkpoint.
func NewCounter(channel string, from Checkpoint) *Counter {
	c := &Counter{
		channel: channel, through: from.Through, floor: from.Floor, subjects: map[subject]uint32{}, base: from.Through + 1,
		named: make([]subject, subjectFirst), stash: map[uint64]uint32{}, past: map[uint64]Change{}, recipients: map[string]*state{},
		index: make([][]*state, subjectFirst), waiters: map[uint64][]chan struct{}{},
		asked: none, askedBefore: none,
	}
	for _, r := range from.Recipients {
		c.recipients[r.ID] = &state{
			start: r.Start, number: r.Number, low: from.Through, open: true,
			samples: []sample{{from.Through, r.Number}}, epochs: []epoch{{from: from.Through, selection: r.Selection}},
		}
	}
	return c
}

const none = ^uint64(0)

// Through is the sequence up to which all is counted.
func (c *Counter) Through() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.through
}

// Add counts the next message of EVENTS: an event of an appliance and a type, a change, or, with neither, something else. Sequences that
// are left out are taken for lost: each is counted for every recipient, so that no number is given again.
func (c *Counter) Add(sequence uint64, appliance, eventType string, change *Change) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if sequence <= c.through {
		return
	}
	gap := sequence - c.through - 1
	if gap > 0 {
		c.skip(gap)
	}
	c.add(sequence, c.entry(appliance, eventType, change), change)
	c.unstash()
	if gap > 0 {
		c.wake()
	}
}

// Offer counts an event if it is the next one, or as soon as it is: what is handed out to a sender need not be read again.
func (c *Counter) Offer(sequence uint64, appliance, eventType string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case sequence == c.through+1:
		c.add(sequence, c.entry(appliance, eventType, nil), nil)
		c.unstash()
	case sequence > c.through && len(c.stash) < maxStash:
		c.stash[sequence] = c.entry(appliance, eventType, nil)
	}
}

// unstash counts what was offered and is next now, and forgets what was counted otherwise.
func (c *Counter) unstash() {
	for len(c.stash) > 0 {
		entry, next := c.stash[c.through+1]
		if !next {
			break
		}
		delete(c.stash, c.through+1)
		c.add(c.through+1, entry, nil)
	}
	if len(c.stash) == maxStash {
		for sequence := range c.stash {
			if sequence <= c.through {
				delete(c.stash, sequence)
			}
		}
	}
}

// add counts the next message.
func (c *Counter) add(sequence uint64, entry uint32, change *Change) {
	c.tape = append(c.tape, entry)
	c.through = sequence
	switch {
	case change != nil:
		c.apply(sequence, *change)
	case entry >= subjectFirst:
		for _, s := range c.selecting(entry) {
			s.count(sequence)
		}
	}
	if len(c.waiters) > 0 {
		c.tell(sequence)
	}
}

// entry is what the tape holds of a message.
func (c *Counter) entry(appliance, eventType string, change *Change) uint32 {
	switch {
	case change != nil:
		return entryChange
	case eventType == "":
		return entryOther
	}
	id, known := c.subjects[subject{appliance, eventType}]
	if !known {
		id = uint32(len(c.index))
		of := subject{strings.Clone(appliance), strings.Clone(eventType)}
		c.subjects[of] = id
		c.named = append(c.named, of)
		c.index = append(c.index, nil)
	}
	return id
}

// skip counts sequences that are missing.
func (c *Counter) skip(gap uint64) {
	c.through += gap
	if gap <= maxGap {
		for range gap {
			c.tape = append(c.tape, entryLost)
		}
	} else {
		c.tape, c.base = nil, c.through+1
	}
	for _, s := range c.recipients {
		s.number += gap
		if gap > maxGap {
			s.low, s.blocked, s.samples = c.through, true, nil
		}
		s.sample(c.through, s.number)
	}
}

// selecting are the recipients that select a subject now.
func (c *Counter) selecting(entry uint32) []*state {
	if found := c.index[entry]; found != nil {
		return found
	}
	found, of := make([]*state, 0), c.named[entry]
	for _, s := range c.recipients {
		if s.epochs[len(s.epochs)-1].selection.Has(of.appliance, of.eventType) {
			found = append(found, s)
		}
	}
	c.index[entry] = found
	return found
}

// apply changes what a recipient selects behind a sequence.
func (c *Counter) apply(sequence uint64, x Change) {
	if x.Channel != c.channel {
		return
	}
	clear(c.index)
	s := c.recipients[x.Recipient]
	switch {
	case x.Ended:
		delete(c.recipients, x.Recipient)
	case s == nil || s.start != x.Start:
		c.recipients[x.Recipient] = &state{
			start: x.Start, low: sequence, born: sequence,
			samples: []sample{{sequence, 0}}, epochs: []epoch{{from: sequence, selection: x.Selection}},
		}
	default:
		s.sample(sequence, s.number)
		s.epochs = append(s.epochs, epoch{from: sequence, selection: x.Selection})
	}
}

// wake tells those who wait for what is counted now.
func (c *Counter) wake() {
	for sequence := range c.waiters {
		if sequence <= c.through {
			c.tell(sequence)
		}
	}
}

// Awaited reports whether somebody waits for what is not counted yet.
func (c *Counter) Awaited() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.waiters) > 0
}

func (c *Counter) tell(sequence uint64) {
	for _, w := range c.waiters[sequence] {
		close(w)
	}
	delete(c.waiters, sequence)
}

// Counted returns a channel that is closed once a sequence is counted.
func (c *Counter) Counted(sequence uint64) <-chan struct{} {
	w := make(chan struct{})
	c.mu.Lock()
	defer c.mu.Unlock()
	if sequence <= c.through {
		close(w)
		return w
	}
	c.waiters[sequence] = append(c.waiters[sequence], w)
	return w
}

// Forget ends a wait for a sequence.
func (c *Counter) Forget(sequence uint64, counted <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	left := slices.DeleteFunc(c.waiters[sequence], func(w chan struct{}) bool { return w == counted })
	if c.waiters[sequence] = left; len(left) == 0 {
		delete(c.waiters, sequence)
	}
}

// Number is the number of the message at a sequence for a recipient.
func (c *Counter) Number(recipient string, sequence uint64) (uint64, Answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if sequence > c.through {
		return 0, Behind
	}
	s := c.recipients[recipient]
	if s == nil || sequence <= s.born || sequence <= c.floor {
		return 0, Known
	}
	c.asked = min(c.asked, sequence)
	if sequence <= s.low && !s.blocked {
		c.lower(s)
	}
	switch {
	case sequence <= s.born, sequence <= s.low && s.blocked:
		return 0, Known
	case sequence <= s.low:
		return 0, Below
	}
	if e := s.epoch(sequence); !c.wants(e, c.tape[sequence-c.base]) {
		return 0, Known
	}
	return c.at(s, sequence), Known
}

// at is the last number that a recipient was given up to a sequence, which is above its low.
func (c *Counter) at(s *state, sequence uint64) uint64 {
	from := s.nearest(sequence)
	n := from.number
	if from.sequence == sequence {
		return n
	}
	e := s.epoch(from.sequence + 1) // each change has a sample
	for _, entry := range c.tape[from.sequence+1-c.base : sequence+1-c.base] {
		if entry == entryLost || c.wants(e, entry) {
			n++
		}
	}
	return n
}

// wants reports whether a recipient selected an entry.
func (c *Counter) wants(e *epoch, entry uint32) bool {
	if entry < subjectFirst {
		return false
	}
	for len(e.wants) < len(c.index) {
		e.wants = append(e.wants, unknown)
	}
	if e.wants[entry] == unknown {
		of := c.named[entry]
		if e.wants[entry] = unwanted; e.selection.Has(of.appliance, of.eventType) {
			e.wants[entry] = wanted
		}
	}
	return e.wants[entry] == wanted
}

// Checkpoint is what was counted.
func (c *Counter) Checkpoint() Checkpoint {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := Checkpoint{Through: c.through, Floor: c.floor, Recipients: make([]Counted, 0, len(c.recipients))}
	for id, s := range c.recipients {
		out.Recipients = append(out.Recipients, Counted{ID: id, Start: s.start, Number: s.number, Selection: s.epochs[len(s.epochs)-1].selection})
	}
	return out
}
