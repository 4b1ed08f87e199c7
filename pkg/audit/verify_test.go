package audit_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/audit"
)

var began = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// chain is n entries, one an hour.
func chain(t *testing.T, n int) []audit.Stored {
	t.Helper()
	var out []audit.Stored
	var head audit.Head
	for i := range n {
		s, err := audit.Seal(audit.Entry{Action: "recipient.update", Object: fmt.Sprintf("recipients/r%d", i), Outcome: audit.OK,
			Time: began.Add(time.Duration(i) * time.Hour), Actor: "ada"}, head)
		if err != nil {
			t.Fatal(err)
		}
		s.Sequence = uint64(i + 1)
		head = s.Head()
		out = append(out, s)
	}
	return out
}

func verify(all []audit.Stored, e audit.End) audit.Result {
	v := audit.NewVerifier()
	for _, s := range all {
		v.Next(s.Raw, s.Hash, s.Sequence)
	}
	return v.End(e)
}

// reseal makes the hash of an entry fit its bytes, as one who knows how would.
func change(s audit.Stored, reseal bool) audit.Stored {
	s.Raw = bytes.Replace(s.Raw, []byte(`"ada"`), []byte(`"eve"`), 1)
	if reseal {
		s.Hash = audit.Hash(s.Raw)
	}
	return s
}

func TestAWholeChainHasNoFaults(t *testing.T) {
	for _, n := range []int{0, 1, 2, 5000} {
		all := chain(t, n)
		e := audit.End{Now: began}
		if n > 0 {
			h := all[n-1].Head()
			e.Head, e.Sequences = &h, uint64(n)
		}
		if r := verify(all, e); len(r.Faults) > 0 || r.Entries != uint64(n) || r.Last != uint64(n) {
			t.Errorf("%d entries: %+v", n, r)
		}
	}
}

// TestEachFaultIsNamed removes, changes, inserts and moves each entry of a chain in turn.
func TestEachFaultIsNamed(t *testing.T) {
	const n = 40
	all := chain(t, n)
	head := all[n-1].Head()
	end := audit.End{Head: &head, Sequences: n, Now: began.Add(100 * time.Hour), Kept: 365 * 24 * time.Hour}
	tried, named := 0, 0
	expect := func(what string, i int, got []audit.Stored, kind string) {
		t.Helper()
		tried++
		for _, f := range verify(got, end).Faults {
			if f.Kind == kind && f.Number == uint64(i+1) {
				named++
				return
			}
		}
		t.Errorf("%s entry %d: %+v", what, i+1, verify(got, end).Faults)
	}
	for i := range n {
		expect("without", i, slices.Delete(slices.Clone(all), i, i+1), audit.Removed)
		for _, reseal := range []bool{false, true} {
			got := slices.Clone(all)
			got[i] = change(got[i], reseal)
			expect("changed", i, got, audit.Changed)
		}
		expect("doubled", i, slices.Insert(slices.Clone(all), i, change(all[i], true)), audit.Inserted)
		expect("doubled behind", i, slices.Insert(slices.Clone(all), i+1, change(all[i], true)), audit.Inserted)
		if i+1 < n {
			got := slices.Clone(all)
			got[i], got[i+1] = got[i+1], got[i]
			if i == 0 {
				expect("swapped", i, got, audit.Inserted)
			} else {
				expect("swapped", i, got, audit.Reordered)
			}
		}
	}
	if tried != 6*n-1 || named != tried {
		t.Errorf("named %d of %d", named, tried)
	}
}

func TestOldEntriesMayBeGone(t *testing.T) {
	all := chain(t, 100)[40:]
	r := verify(all, audit.End{Kept: 30 * time.Hour, Now: began.Add(100 * time.Hour)})
	if len(r.Faults) > 0 || r.First != 41 {
		t.Errorf("old ones: %+v", r)
	}
	r = verify(all, audit.End{Kept: 365 * 24 * time.Hour, Now: began.Add(100 * time.Hour)})
	if len(r.Faults) != 40 {
		t.Errorf("young ones: %d faults", len(r.Faults))
	}
}

func TestAChainThatEndsEarlyOrWasWrittenAnew(t *testing.T) {
	all := chain(t, 20)
	head := all[19].Head()
	if r := verify(all[:15], audit.End{Head: &head, Now: began}); len(r.Faults) != 5 || r.Faults[0].Number != 16 {
		t.Errorf("cut off: %+v", r.Faults)
	}
	if r := verify(all[:15], audit.End{Sequences: 20, Now: began}); len(r.Faults) != 1 {
		t.Errorf("cut off, by the stream: %+v", r.Faults)
	}
	if r := verify(nil, audit.End{Head: &head, Now: began}); len(r.Faults) != 20 {
		t.Errorf("emptied: %+v", r.Faults)
	}
	var anew []audit.Stored
	var before audit.Head
	for _, s := range all {
		s.Actor = "eve"
		again, err := audit.Seal(s.Entry, before)
		if err != nil {
			t.Fatal(err)
		}
		before = again.Head()
		anew = append(anew, again)
	}
	if r := verify(anew, audit.End{Head: &head, Now: began}); len(r.Faults) != 1 || r.Faults[0].Kind != audit.Changed {
		t.Errorf("written anew: %+v", r.Faults)
	}
}
