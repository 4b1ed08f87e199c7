package chain

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Link is a record's place in the chain of its writer.
type Link struct {
	// Writer names the chain. A process begins one at its start, and another one after a record of it was not stored.
	Writer string
	// Number counts the records of the chain from 1, Group is the number of the first of those that were on their way together.
	Number, Group uint64
	// Previous is the short digest of the record before; empty in the first.
	Previous string
	// After is the chain before this one of the same process, and Void are the numbers of its last group whose records it knows not to be
	// stored by itself. They stand in the records of a chain's first group.
	After string
	Void  []uint64
}

// String is the link as a header holds it: WRITER/NUMBER/GROUP/PREVIOUS, and /AFTER/VOID where there was a chain before.
func (l Link) String() string {
	const room = 96
	b := append(append(make([]byte, 0, room), l.Writer...), '/')
	b = append(strconv.AppendUint(b, l.Number, 10), '/')
	b = append(strconv.AppendUint(b, l.Group, 10), '/')
	b = append(b, l.Previous...)
	if l.After != "" {
		b = append(append(append(append(b, '/'), l.After...), '/'), numbers(l.Void)...)
	}
	return string(b)
}

// numbers writes numbers in order, as 3-7+9.
func numbers(all []uint64) string {
	var out []string
	for i := 0; i < len(all); {
		j := i
		for j+1 < len(all) && all[j+1] == all[j]+1 {
			j++
		}
		s := strconv.FormatUint(all[i], 10)
		if j > i {
			s += "-" + strconv.FormatUint(all[j], 10)
		}
		out, i = append(out, s), j+1
	}
	return strings.Join(out, "+")
}

// maxVoid is how many numbers a link may tell of: a group has a thousand records at most.
const maxVoid = 1000

// The parts of a link, without and with a chain before.
const (
	partsAlone = 4
	partsAfter = 6
)

// ParseLink reads what String writes.
func ParseLink(s string) (l Link, err error) {
	p := strings.Split(s, "/")
	if len(p) != partsAlone && len(p) != partsAfter || p[0] == "" {
		return l, fmt.Errorf("%q is not a link of a chain", s)
	}
	l.Writer, l.Previous = p[0], p[3]
	if l.Number, err = strconv.ParseUint(p[1], 10, 64); err == nil {
		l.Group, err = strconv.ParseUint(p[2], 10, 64)
	}
	if err == nil && len(p) == partsAfter {
		l.After = p[4]
		l.Void, err = parseNumbers(p[5])
	}
	if err != nil || l.Group == 0 || l.Group > l.Number {
		return l, fmt.Errorf("%q is not a link of a chain", s)
	}
	return l, nil
}

func parseNumbers(s string) (out []uint64, err error) {
	if s == "" {
		return nil, nil
	}
	for _, part := range strings.Split(s, "+") {
		from, to, isRange := strings.Cut(part, "-")
		a, err := strconv.ParseUint(from, 10, 64)
		if err != nil {
			return nil, err
		}
		b := a
		if isRange {
			if b, err = strconv.ParseUint(to, 10, 64); err != nil {
				return nil, err
			}
		}
		if b < a || b-a >= maxVoid || len(out) > maxVoid {
			return nil, fmt.Errorf("%q is too long", part)
		}
		for n := a; n <= b; n++ {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out, nil
}
