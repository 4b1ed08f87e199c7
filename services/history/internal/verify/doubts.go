package verify

import (
	"fmt"
	"slices"

	"github.com/outbound-events/outbound/pkg/audit"
	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/delivery/chain"
	"github.com/outbound-events/outbound/pkg/tlog"
)

// doubts are entries and records that do not fit each other.
type doubts struct {
	// missing are entries without a record, again those whose sequence was used again, pairs the entries whose record is another one,
	// added the records without an entry.
	missing, again []tlog.Entry
	pairs          []pair
	added          []tlog.Entry
	// homes is where a record of a digest should stand.
	homes map[chain.Digest]uint64
	// subjects are those of records that their chains find fault with.
	subjects map[uint64]string
	omitted  uint64
}

type pair struct{ should, is tlog.Entry }

func (d *doubts) full() bool {
	if len(d.missing)+len(d.pairs)+len(d.added) < maxDoubts {
		return false
	}
	d.omitted++
	return true
}

// lacks takes an entry without a record.
func (d *doubts) lacks(e tlog.Entry) {
	if !d.full() {
		d.missing, d.homes[e.Digest] = append(d.missing, e), e.Sequence
	}
}

// differs takes an entry and the record that stands in its place.
func (d *doubts) differs(should, is tlog.Entry) {
	if !d.full() {
		d.pairs, d.homes[should.Digest] = append(d.pairs, pair{should, is}), should.Sequence
	}
}

// extra takes a record without an entry.
func (d *doubts) extra(is tlog.Entry) {
	if !d.full() {
		d.added = append(d.added, is)
	}
}

// belongsElsewhere reports whether a record that no checkpoint covers is one that is missing before it.
func (d *doubts) belongsElsewhere(is tlog.Entry) bool {
	home, ok := d.homes[is.Digest]
	return ok && home != is.Sequence
}

// name keeps what a record is about.
func (d *doubts) name(is tlog.Entry) {
	if d.subjects == nil {
		d.subjects = map[uint64]string{}
	}
	if len(d.subjects) < maxDoubts {
		d.subjects[is.Sequence] = is.Subject
	}
}

// faults says what has become of each. It is pure.
func (d *doubts) faults() (out []Fault) {
	found := map[uint64]bool{}
	// A record whose content belongs elsewhere was moved, and is not missing there.
	moved := func(is tlog.Entry) bool {
		home, ok := d.homes[is.Digest]
		if ok && home != is.Sequence {
			found[home] = true
			return true
		}
		return false
	}
	var moves []move
	stays := slices.Clone(d.pairs[:0:0])
	for _, p := range d.pairs {
		if moved(p.is) {
			moves = append(moves, move{from: d.homes[p.is.Digest], is: p.is})
		} else {
			stays = append(stays, p)
		}
	}
	for _, is := range d.added {
		if moved(is) {
			moves = append(moves, move{from: d.homes[is.Digest], is: is})
			continue
		}
		out = append(out, fault(audit.Inserted, is, "no checkpoint has it, though they cover those before and behind it"))
	}
	out = append(out, shifts(moves)...)
	// Where the record that stood there stands elsewhere, this one was put before it.
	stays = slices.DeleteFunc(stays, func(p pair) bool {
		if found[p.should.Sequence] {
			out = append(out, fault(audit.Inserted, p.is, "it was not there, and what was there stands elsewhere"))
		}
		return found[p.should.Sequence]
	})
	out = append(out, changes(stays)...)
	lost := slices.Clone(d.missing)
	for _, p := range d.pairs {
		if home, ok := d.homes[p.is.Digest]; ok && home != p.is.Sequence {
			lost = append(lost, p.should) // another record stands in its place
		}
	}
	for _, e := range lost {
		if !found[e.Sequence] {
			out = append(out, fault(audit.Removed, e, "it is missing"))
		}
	}
	for _, e := range d.again {
		out = append(out, fault(audit.Removed, e,
			"it is not there any more: the end of the log was lost or cut off, and its sequence was used again"))
	}
	if d.omitted > 0 {
		out = append(out, Fault{Kind: audit.Changed, Text: fmt.Sprintf("%d more records are not what they were", d.omitted)})
	}
	return out
}

func fault(kind string, e tlog.Entry, text string) Fault {
	f := Fault{Kind: kind, Sequence: e.Sequence, Until: e.Sequence, Text: text}
	f.What, f.Recipient, f.Event = deliverylog.About(e.Subject)
	return f
}

// move is a record that stands elsewhere than it did.
type move struct {
	from uint64
	is   tlog.Entry
}

// shifts names records that were moved by the same distance, and follow each other, together.
func shifts(all []move) (out []Fault) {
	slices.SortFunc(all, func(a, b move) int { return int(int64(a.is.Sequence - b.is.Sequence)) }) //nolint:gosec // a difference
	for i := 0; i < len(all); {
		j := i
		for j+1 < len(all) && all[j+1].is.Sequence == all[j].is.Sequence+1 && all[j+1].from == all[j].from+1 {
			j++
		}
		f := fault(audit.Reordered, all[i].is, fmt.Sprintf("it stood at %d", all[i].from))
		if j > i {
			f.Until = all[j].is.Sequence
			f.What, f.Recipient, f.Event = "", "", ""
			f.Text = fmt.Sprintf("they stood at %d to %d", all[i].from, all[j].from)
		}
		out, i = append(out, f), j+1
	}
	return out
}

// changes names records that are not what they were. Those of which only the time differs, and that follow each other, are named together.
func changes(all []pair) (out []Fault) {
	timeOnly := func(p pair) bool { return p.should.Digest == p.is.Digest && p.should.Subject == p.is.Subject }
	for i := 0; i < len(all); {
		j := i
		for timeOnly(all[i]) && j+1 < len(all) && timeOnly(all[j+1]) && all[j+1].is.Sequence == all[j].is.Sequence+1 {
			j++
		}
		f := fault(audit.Changed, all[i].should, "its content is another one")
		switch {
		case j > i:
			f.Until, f.What, f.Recipient, f.Event = all[j].is.Sequence, "", "", ""
			f.Text = "they were stored at other times"
		case timeOnly(all[i]):
			f.Text = fmt.Sprintf("it was stored at another time: %s", all[i].should.Stored.Format("2006-01-02T15:04:05.999999999Z07:00"))
		}
		out, i = append(out, f), j+1
	}
	return out
}
