package chain

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/outbound-events/outbound/pkg/audit"
)

// Fault is what is wrong with a chain. Its kinds are those of the audit log.
type Fault struct {
	Kind string
	// Sequence is where the record stands; 0: it is missing, and stood behind After and before Before.
	Sequence      uint64
	After, Before uint64
	Text          string
}

// Verifier compares records with each other, in the order of the log. Its memory is bounded by chains and faults, not by records.
type Verifier struct {
	chains map[string]*seenChain
	// told are the chains that another one tells the end of, and which of their records were not stored.
	told   map[string]map[uint64]bool
	linked uint64
	faults []Fault
}

// NewVerifier returns a verifier.
func NewVerifier() *Verifier {
	return &Verifier{chains: map[string]*seenChain{}, told: map[string]map[uint64]bool{}}
}

// seenChain is what is known of a chain.
type seenChain struct {
	first, newest, group uint64
	// known are its last records by number, missing are the numbers that were passed over.
	known   map[uint64]seenRecord
	missing map[uint64]gap
	last    uint64
}

type seenRecord struct {
	sequence uint64
	digest   Digest
	previous string
	faulty   bool
}

type gap struct{ after, before uint64 }

// window is how many records of a chain are kept: a group, and the one before.
const window = 2048

// Read is a record as it is stored.
type Read struct {
	Record
	Sequence uint64
}

func header(h map[string][]string, name string) string {
	if v := h[name]; len(v) == 1 {
		return v[0]
	}
	return ""
}

// Next takes the next record, whose digest is DigestOf of what it holds.
func (v *Verifier) Next(r Read, digest Digest) {
	text := header(r.Header, HeaderLink)
	if text == "" && header(r.Header, HeaderDigest) == "" {
		if v.linked > 0 {
			v.fault(Fault{Kind: audit.Inserted, Sequence: r.Sequence,
				Text: "it is in no chain, though records before it are: no sender of this release has written it"})
		}
		return
	}
	v.linked++
	l, err := ParseLink(text)
	if err != nil {
		v.fault(Fault{Kind: audit.Changed, Sequence: r.Sequence, Text: "its place in the chain can't be read"})
		return
	}
	if l.After != "" && v.told[l.After] == nil {
		v.told[l.After] = map[uint64]bool{}
		for _, n := range l.Void {
			v.told[l.After][n] = true
		}
	}
	x := seenRecord{sequence: r.Sequence, digest: digest, previous: l.Previous}
	if header(r.Header, HeaderDigest) != digest.String() {
		x.faulty = true
		v.fault(Fault{Kind: audit.Changed, Sequence: r.Sequence, Text: "it does not match the digest that was stored with it"})
	}
	c := v.chains[l.Writer]
	if c == nil {
		c = &seenChain{first: l.Number, newest: l.Number - 1, known: map[uint64]seenRecord{}, missing: map[uint64]gap{}}
		v.chains[l.Writer] = c
	}
	v.place(c, l, x, header(r.Header, "Nats-Msg-Id") == "")
}

// place compares a record with those of its chain. repeatable says that the broker may have stored it twice.
func (v *Verifier) place(c *seenChain, l Link, x seenRecord, repeatable bool) {
	n := l.Number
	other, taken := c.known[n]
	_, missing := c.missing[n]
	switch {
	case taken && repeatable && other.digest == x.digest:
		return
	case taken:
		v.fault(Fault{Kind: audit.Inserted, Sequence: x.sequence,
			Text: fmt.Sprintf("record %d has the same place in its chain: one of them was not written by a sender", other.sequence)})
		return
	case n <= c.newest && !missing && (n >= c.first || n < c.group):
		v.fault(Fault{Kind: audit.Inserted, Sequence: x.sequence, Text: "its chain has gone on long before"})
		return
	case n > c.newest+maxVoid:
		v.fault(Fault{Kind: audit.Inserted, Sequence: x.sequence, Text: "its number in the chain is far ahead"})
		return
	case l.Group < c.group:
		v.fault(Fault{Kind: audit.Reordered, Sequence: x.sequence,
			Text: fmt.Sprintf("it stands behind record %d, which was written after it", c.last)})
	}
	delete(c.missing, n)
	for m := c.newest + 1; m < n; m++ {
		c.missing[m] = gap{c.last, x.sequence}
	}
	c.known[n] = x
	c.newest, c.group, c.first, c.last = max(c.newest, n), max(c.group, l.Group), min(c.first, n), x.sequence
	v.compare(c, n)
	v.compare(c, n+1)
	if n > window {
		delete(c.known, n-window)
	}
}

// compare compares a record's link with the record before it, if both are there.
func (v *Verifier) compare(c *seenChain, n uint64) {
	x, ok := c.known[n]
	before, has := c.known[n-1]
	if !ok || !has || x.faulty || before.faulty || x.previous == before.digest.short() {
		return
	}
	v.fault(Fault{Kind: audit.Changed, Sequence: before.sequence,
		Text: fmt.Sprintf("record %d of the same chain holds another digest of it", x.sequence)})
}

func (v *Verifier) fault(f Fault) {
	if n := len(v.faults); n == 0 || v.faults[n-1] != f {
		v.faults = append(v.faults, f)
	}
}

// Linked is how many records are in a chain.
func (v *Verifier) Linked() uint64 { return v.linked }

// End returns what is wrong, by sequence. A number that is missing is no fault if a later chain of the same process tells that it was not
// stored, or if it is of the last group of a chain of which nobody tells that: the process ended without knowing.
func (v *Verifier) End() []Fault {
	for _, name := range slices.Sorted(maps.Keys(v.chains)) {
		c := v.chains[name]
		void, ended := v.told[name]
		for n, g := range c.missing {
			if void[n] || !ended && n >= c.group {
				continue
			}
			v.fault(Fault{Kind: audit.Removed, After: g.after, Before: g.before,
				Text: fmt.Sprintf("a record between %d and %d is missing: their chain lacks number %d", g.after, g.before, n)})
		}
	}
	slices.SortStableFunc(v.faults, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.Sequence+a.After, b.Sequence+b.After), cmp.Compare(a.Text, b.Text))
	})
	return v.faults
}

// Faults is how many were found so far.
func (v *Verifier) Faults() int { return len(v.faults) }
