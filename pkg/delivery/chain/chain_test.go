package chain_test

import (
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/audit"
	"github.com/outbound-events/outbound/pkg/delivery/chain"
)

// logOf is a log that writers append to.
type logOf struct{ records []chain.Read }

// group writes a group of records, of which some are stored.
func (l *logOf) group(w *chain.Writer, stored ...bool) {
	w.Begin()
	for _, ok := range stored {
		n := len(l.records) + 1
		r := chain.Record{Subject: "outbound.history.attempt.crm", Data: fmt.Appendf(nil, `{"n":%d}`, n),
			Header: map[string][]string{"Nats-Msg-Id": {fmt.Sprint("id-", n)}, "Outbound-Record": {"http/ok/ok"}, "Nats-Batch-Id": {"x"}}}
		w.Link(r)
		if ok {
			l.records = append(l.records, chain.Read{Record: r, Sequence: uint64(n)})
		}
	}
	w.End(stored)
}

func faults(records []chain.Read) []chain.Fault {
	v := chain.NewVerifier()
	for _, r := range records {
		v.Next(r, chain.DigestOf(r.Subject, r.Header, r.Data))
	}
	return v.End()
}

// fresh is a log of two writers that take turns: records 1, 3, 4 and 6 to 9 are of one, 2 and 5 of the other.
func fresh() *logOf {
	l, a, b := &logOf{}, chain.NewWriter(), chain.NewWriter()
	l.group(a, true)
	l.group(b, true)
	l.group(a, true, true)
	l.group(b, true)
	l.group(a, true, true, true)
	l.group(a, true)
	return l
}

func TestChainsThatAreWholeHaveNoFaults(t *testing.T) {
	l, w := fresh(), chain.NewWriter()
	for range 3 {
		l.group(w, true, false, true)
		l.group(w, false)
		l.group(w, true)
		l.group(w, false, false)
	}
	if got := faults(l.records); len(got) > 0 {
		t.Errorf("a log without faults has %v", got)
	}
	// A log that has dropped its oldest records, and one whose writer was killed with a group on its way.
	if got := faults(l.records[4:]); len(got) > 0 {
		t.Errorf("a log that begins later has %v", got)
	}
	killed := &logOf{}
	w = chain.NewWriter()
	killed.group(w, true)
	killed.group(w, true, false, true)
	if got := faults(killed.records); len(got) > 0 {
		t.Errorf("a log whose writer was killed has %v", got)
	}
}

func TestPublishHeadersAreNotCovered(t *testing.T) {
	l := fresh()
	for _, r := range l.records {
		r.Header["Nats-Expected-Last-Subject-Sequence"] = []string{"7"}
		delete(r.Header, "Nats-Batch-Id")
	}
	if got := faults(l.records); len(got) > 0 {
		t.Errorf("headers of a repeated publish are faults: %v", got)
	}
}

// kindAt is the kind of the only fault, and where it is.
func kindAt(t *testing.T, all []chain.Fault) (kind string, at uint64) {
	t.Helper()
	if len(all) == 0 {
		t.Fatal("nothing was found")
	}
	if f := all[0]; f.Sequence > 0 {
		return f.Kind, f.Sequence
	}
	return all[0].Kind, all[0].After + 1
}

func TestEveryChangeAndEveryRemovalInsideIsFound(t *testing.T) {
	for i := range fresh().records {
		for what, change := range map[string]func(*chain.Read){
			"data":    func(r *chain.Read) { r.Data = []byte(`{"n":"?"}`) },
			"subject": func(r *chain.Read) { r.Subject += "x" },
			"header":  func(r *chain.Read) { r.Header["Outbound-Record"] = []string{"http/ok/other"} },
			"link":    func(r *chain.Read) { r.Header[chain.HeaderLink] = []string{"?"} },
		} {
			l := fresh()
			change(&l.records[i])
			all := faults(l.records)
			if !slices.ContainsFunc(all, func(f chain.Fault) bool { return f.Kind == audit.Changed && f.Sequence == uint64(i+1) }) {
				t.Errorf("record %d with another %s: %v", i+1, what, all)
			}
		}
	}
	// A change that brings its own digest is found by the record after it.
	for _, i := range []int{0, 2, 3, 5, 6} {
		l := fresh()
		r := &l.records[i]
		r.Data = []byte(`{"n":"?"}`)
		r.Header[chain.HeaderDigest] = []string{chain.DigestOf(r.Subject, r.Header, r.Data).String()}
		if kind, at := kindAt(t, faults(l.records)); kind != audit.Changed || at != uint64(i+1) {
			t.Errorf("record %d with another digest: %s at %d", i+1, kind, at)
		}
	}
	for _, i := range []int{2, 3, 5, 6} {
		l := fresh()
		l.records = slices.Delete(l.records, i, i+1)
		all := faults(l.records)
		if len(all) != 1 || all[0].Kind != audit.Removed || all[0].After >= uint64(i+1) || all[0].Before <= uint64(i+1) {
			t.Errorf("record %d removed: %v", i+1, all)
		}
	}
}

func TestEveryInsertionIsFound(t *testing.T) {
	for i := 1; i < len(fresh().records); i++ {
		l := fresh()
		forged := chain.Read{Record: chain.Record{Subject: "outbound.history.attempt.crm", Header: map[string][]string{}}, Sequence: 100}
		l.records = slices.Insert(l.records, i, forged)
		if kind, at := kindAt(t, faults(l.records)); kind != audit.Inserted || at != 100 {
			t.Errorf("a record without a chain before %d: %s at %d", i, kind, at)
		}
		l = fresh()
		twice := l.records[i]
		twice.Sequence = 100
		l.records = append(l.records, twice)
		if kind, at := kindAt(t, faults(l.records)); kind != audit.Inserted || at != 100 {
			t.Errorf("record %d twice: %s at %d", i+1, kind, at)
		}
	}
}

func TestVoidsOfALaterChainExplainNoOtherGap(t *testing.T) {
	l, w := &logOf{}, chain.NewWriter()
	l.group(w, true)
	l.group(w, true, false, true, true)
	l.group(w, true)
	if got := faults(l.records); len(got) > 0 {
		t.Fatalf("a group of which one record was refused: %v", got)
	}
	l.records = slices.Delete(l.records, 2, 3) // the third of its group
	all := faults(l.records)
	if len(all) != 1 || all[0].Kind != audit.Removed {
		t.Errorf("a record of that group was removed: %v", all)
	}
}

func TestLinksAreReadAsTheyAreWritten(t *testing.T) {
	for _, l := range []chain.Link{
		{Writer: "w", Number: 1, Group: 1},
		{Writer: "w", Number: 12, Group: 10, Previous: "abc"},
		{Writer: "w", Number: 1, Group: 1, After: "v", Void: []uint64{3, 4, 5, 9}},
		{Writer: "w", Number: 1, Group: 1, After: "v"},
	} {
		got, err := chain.ParseLink(l.String())
		if err != nil || got.String() != l.String() {
			t.Errorf("%s is read as %s, %v", l, got, err)
		}
	}
	for _, bad := range []string{"", "w", "w/1/1", "w/0/0/", "w/1/2/", "w/1/1//v/1-999999999", "w/x/1/", "/1/1/", "w/1/1//v/2-1"} {
		if l, err := chain.ParseLink(bad); err == nil {
			t.Errorf("%q is read as %+v", bad, l)
		}
	}
}

func BenchmarkLink(b *testing.B) {
	w := chain.NewWriter()
	data := make([]byte, 800)
	b.ReportAllocs()
	began := used()
	for b.Loop() {
		w.Begin()
		w.Link(chain.Record{Subject: "outbound.history.attempt.ticket-system.DELIVERED.audio.-.-.studio-1.0001", Data: data,
			Header: map[string][]string{"Nats-Msg-Id": {"ticket-system/studio-1~0001:1"}, "Outbound-Record": {"http/ok/ok"}}})
		w.End([]bool{true})
	}
	b.ReportMetric(float64((used()-began).Nanoseconds())/float64(b.N), "cpu-ns/op")
}

// used is how much processor time this process has used, which others on the machine do not change.
func used() time.Duration {
	var r syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
