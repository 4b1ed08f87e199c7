package audit

import (
	"fmt"
	"slices"
	"time"
)

// The kinds of faults of a chain.
const (
	// Removed says that an entry is not there.
	Removed = "REMOVED"
	// Changed says that an entry is not what it was.
	Changed = "CHANGED"
	// Inserted says that an entry was not written by Outbound at this place.
	Inserted = "INSERTED"
	// Reordered says that an entry stands behind a later one.
	Reordered = "REORDERED"
)

// Fault is what is wrong with the chain at one entry.
type Fault struct {
	Kind string `json:"kind"`
	// Number is the entry's, or the one it should have; Sequence is where it stands, 0 if it does not.
	Number   uint64 `json:"number"`
	Sequence uint64 `json:"sequence,omitempty"`
	Text     string `json:"text"`
}

// seen is what is kept of an entry.
type seen struct {
	previous, hash string
	sequence       uint64
	faulty         bool
}

// Verifier compares entries with each other, in the order in which they are stored. Its memory is bounded by faults, not by entries.
type Verifier struct {
	faults []Fault
	count  uint64
	// newest is the highest number so far, first the number of the first entry.
	newest, first uint64
	// known are the last entries, by number; open are numbers that were passed over; doubles are entries with a number that another one has.
	known   map[uint64]seen
	open    map[uint64]bool
	doubles map[uint64][]seen
	begin   Entry
}

// NewVerifier returns a verifier of a chain.
func NewVerifier() *Verifier {
	return &Verifier{known: map[uint64]seen{}, open: map[uint64]bool{}, doubles: map[uint64][]seen{}}
}

const (
	// window is how many entries back a link is looked for.
	window = 4096
	// maxGap is how many missing entries are named one by one.
	maxGap = 100_000
)

func (v *Verifier) fault(kind string, number, sequence uint64, text string) {
	for _, f := range v.faults {
		if f.Kind == kind && f.Number == number && f.Sequence == sequence {
			return
		}
	}
	v.faults = append(v.faults, Fault{Kind: kind, Number: number, Sequence: sequence, Text: text})
}

// Next takes the next stored entry.
func (v *Verifier) Next(raw []byte, hash string, sequence uint64) {
	v.count++
	s, err := Open(raw, hash, sequence)
	x := seen{previous: s.Previous, hash: hash, sequence: sequence}
	if err != nil || s.Number == 0 {
		s.Number = v.newest + 1
		x.faulty, x.previous = true, ""
		v.fault(Changed, s.Number, sequence, fmt.Sprintf("entry %d can't be read", s.Number))
	} else if Hash(raw) != hash {
		x.faulty = true
		if _, taken := v.known[s.Number]; taken || s.Number > v.newest+maxGap {
			s.Number = v.newest + 1
		}
		v.fault(Changed, s.Number, sequence, fmt.Sprintf("entry %d was changed: its hash is not the one that was stored with it", s.Number))
	}
	if v.count == 1 {
		v.first, v.newest, v.begin = s.Number, s.Number-1, s.Entry
	}
	v.place(s.Number, x)
}

// place compares an entry's place and its links.
func (v *Verifier) place(n uint64, x seen) {
	_, taken := v.known[n]
	switch {
	case taken:
		v.doubles[n] = append(v.doubles[n], x)
		return
	case v.open[n]:
		delete(v.open, n)
		v.fault(Reordered, n, x.sequence, fmt.Sprintf("entry %d follows entry %d", n, v.newest))
	case n < v.first || n+window < v.newest || n > v.newest+maxGap:
		v.fault(Inserted, n, x.sequence, fmt.Sprintf("an entry with the number %d follows entry %d", n, v.newest))
		return
	}
	v.known[n] = x
	for m := v.newest + 1; m < n; m++ {
		v.open[m] = true
	}
	v.link(n)
	v.link(n + 1)
	v.newest = max(v.newest, n)
	if n > window {
		delete(v.known, n-window)
	}
}

// link compares an entry with the one before it, if both have been read. Of two entries with one number the one that the next entry
// links to is the right one.
func (v *Verifier) link(n uint64) {
	x, ok := v.known[n]
	before, has := v.known[n-1]
	if !ok || !has || x.faulty || x.previous == before.hash {
		return
	}
	if i := slices.IndexFunc(v.doubles[n-1], func(d seen) bool { return d.hash == x.previous }); i >= 0 {
		v.known[n-1], v.doubles[n-1][i] = v.doubles[n-1][i], before
		return
	}
	if !before.faulty {
		v.fault(Changed, n-1, before.sequence, fmt.Sprintf("entry %d was changed: entry %d holds another hash of it", n-1, n))
	}
}

// End is what is known of a chain beside its entries.
type End struct {
	// Head is an entry that is known to have been there, e.g. the newest one that was noted; nil: none.
	Head *Head
	// Sequences is the last sequence of the stream; 0: unknown.
	Sequences uint64
	// Kept is how long entries are kept, Now the time. 0: forever.
	Kept time.Duration
	Now  time.Time
}

// Result is what a verification has found.
type Result struct {
	// Entries is how many there are, First and Last the numbers of the first and the last.
	Entries uint64 `json:"entries"`
	First   uint64 `json:"first"`
	Last    uint64 `json:"last"`
	// Hash is that of the last entry: who notes it can tell later whether this one and all before it are what they were.
	Hash   string  `json:"hash"`
	Faults []Fault `json:"faults"`
}

// End compares the chain with what else is known of it, and returns all that is wrong, by number.
func (v *Verifier) End(e End) Result {
	for n, list := range v.doubles {
		for _, d := range list {
			v.fault(Inserted, n, d.sequence, fmt.Sprintf("there are several entries %d, and no other entry links to this one", n))
		}
	}
	for n := range v.open {
		v.fault(Removed, n, 0, fmt.Sprintf("entry %d is missing", n))
	}
	v.beginning(e)
	v.ending(e)
	slices.SortFunc(v.faults, func(a, b Fault) int {
		if a.Number != b.Number {
			if a.Number < b.Number {
				return -1
			}
			return 1
		}
		return int(a.Sequence) - int(b.Sequence)
	})
	return Result{Entries: v.count, First: v.first, Last: v.newest, Hash: v.known[v.newest].hash, Faults: v.faults}
}

// slack is how much earlier than promised an entry may go: the broker removes in steps, and clocks differ.
const slack = time.Hour

// beginning finds that entries before the first were removed that were not old enough to be.
func (v *Verifier) beginning(e End) {
	if v.count == 0 || v.first <= 1 {
		return
	}
	old := e.Kept > 0 && !v.begin.PreviousTime.IsZero() && e.Now.Sub(v.begin.PreviousTime) > e.Kept-slack
	if old {
		return
	}
	for n := v.first - 1; n > 0 && n+maxGap > v.first; n-- {
		v.fault(Removed, n, 0, fmt.Sprintf("entry %d is missing, and was not old enough to be removed", n))
	}
}

// ending finds that the chain ends before an entry that is known, or that it is another chain.
func (v *Verifier) ending(e End) {
	if h := e.Head; h != nil && h.Number > 0 {
		if x, ok := v.known[h.Number]; ok && x.hash != h.Hash && !x.faulty {
			v.fault(Changed, h.Number, x.sequence, fmt.Sprintf("entry %d is another one than was noted: it, or entries before it, were written anew",
				h.Number))
		}
		for n := v.newest + 1; n <= h.Number && n < v.newest+maxGap; n++ {
			v.fault(Removed, n, 0, fmt.Sprintf("entry %d is missing: the log ends with entry %d", n, v.newest))
		}
	}
	last := v.known[v.newest].sequence
	if e.Sequences > last && len(v.faults) == 0 {
		v.fault(Removed, v.newest+1, 0, fmt.Sprintf("up to %d entries after entry %d are missing", e.Sequences-last, v.newest))
	}
}
