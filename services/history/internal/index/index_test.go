package index_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasonclass"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/services/history/internal/index"
)

func attempt(sequence uint64, event int, state delivery.State, class reasonclass.Class) deliverylog.RecordHeader {
	return deliverylog.RecordHeader{
		Sequence: sequence, Recipient: fmt.Sprint("r", event%5), State: state, Type: "t_one", Session: "-", Key: "-",
		Appliance: fmt.Sprint("a", event%3),
		EventID:   fmt.Sprint("e-", event), Channel: "http", Class: class, Reason: reasons.TLS,
	}
}

// all turns all pages of a search and returns how far back the index could tell.
func all(x *index.Index, f deliverylog.AttemptFilter, until uint64, page int) (found []uint64, reached uint64) {
	for before := until + 1; ; before = reached {
		more, to, ok := x.Attempts(f, deliverylog.Range{From: 1, Before: before, Until: until}, page)
		if !ok {
			return found, before
		}
		found, reached = append(found, more...), to
	}
}

func TestAnIndexForgetsTheOldestAndSaysSo(t *testing.T) {
	const most, told = 1_000, 10_000
	x := index.New(most)
	for n := range uint64(told) {
		x.Add(attempt(n+1, int(n), delivery.StateRetrying, reasonclass.TLS))
	}
	first, last, ok := x.Span()
	if !ok || last != told || told-first+1 < most || told-first+1 > 2*most {
		t.Fatalf("it holds %d to %d (%v), want about the last %d", first, last, ok, most)
	}
	found, reached := all(x, deliverylog.AttemptFilter{Recipient: "r2", Class: reasonclass.TLS}, told, 7)
	var want []uint64
	for n := last; n >= first; n-- {
		if (n-1)%5 == 2 {
			want = append(want, n)
		}
	}
	if diff := cmp.Diff(want, found); diff != "" || reached != first {
		t.Errorf("down to %d, want %d: %s", reached, first, diff)
	}
	if _, _, ok := x.Attempts(deliverylog.AttemptFilter{}, deliverylog.Range{From: 1, Before: told + 2, Until: told + 1}, 10); ok {
		t.Error("it tells of a record that it has not been told")
	}
	x.Reset()
	if _, _, ok := x.Span(); ok || x.Len() != 0 {
		t.Error("it still holds records after a reset")
	}
}

func TestAnIndexOfNothingTellsNothing(t *testing.T) {
	x := index.New(0)
	x.Add(attempt(1, 1, delivery.StateDelivered, reasonclass.OK))
	if _, _, ok := x.Attempts(deliverylog.AttemptFilter{}, deliverylog.Range{From: 1, Before: 2, Until: 1}, 10); ok || x.Len() != 0 {
		t.Error("it tells something")
	}
}

// TestWhatARecordDoesNotTellMayBeAnything lets records of an older version be found by any class, for they have to be read.
func TestWhatARecordDoesNotTellMayBeAnything(t *testing.T) {
	x := index.New(100)
	g := attempt(1, 1, delivery.StateRejected, "")
	g.Channel, g.Reason = "", ""
	x.Add(g)
	x.Add(attempt(2, 2, delivery.StateRejected, reasonclass.TLS))
	x.Add(deliverylog.RecordHeader{Sequence: 3, Intake: true, Appliance: "a1", EventID: "e-9"})
	for class, want := range map[reasonclass.Class][]uint64{reasonclass.TLS: {2, 1}, reasonclass.Network: {1}} {
		found, _, ok := x.Attempts(deliverylog.AttemptFilter{Class: class, Channel: "http"}, deliverylog.Range{From: 1, Before: 4, Until: 3}, 10)
		if diff := cmp.Diff(want, found); diff != "" || !ok {
			t.Errorf("%s: %s", class, diff)
		}
	}
	found, _, ok := x.Intakes(deliverylog.IntakeFilter{Type: "t_one", Session: "s-1", ExternalKey: "k"}, 1, 4, 10)
	if diff := cmp.Diff([]uint64{3}, found); diff != "" || !ok {
		t.Errorf("intake: %s", diff)
	}
}

// TestWhatWasFollowedIsLeftOut compares with a look at all records, as of each of several ends of the log.
func TestWhatWasFollowedIsLeftOut(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // no secret
	x := index.New(100_000)
	type record struct {
		delivery int
		state    delivery.State
	}
	log := []record{{}}
	for n := uint64(1); n <= 5_000; n++ {
		r := record{random.IntN(2_000), delivery.StateRetrying}
		if random.IntN(3) == 0 {
			r.state = delivery.StateDelivered
		}
		log = append(log, r)
		x.Add(attempt(n, r.delivery, r.state, reasonclass.TLS))
	}
	for _, until := range []uint64{5_000, 4_999, 3_000, 100, 1} {
		latest := map[int]uint64{}
		for n := uint64(1); n <= until; n++ {
			latest[log[n].delivery] = n
		}
		var want []uint64
		for n := until; n > 0; n-- {
			if log[n].state == delivery.StateRetrying && latest[log[n].delivery] == n {
				want = append(want, n)
			}
		}
		found, _ := all(x, deliverylog.AttemptFilter{State: delivery.StateRetrying}, until, 31)
		if diff := cmp.Diff(want, found); diff != "" || len(want) == 0 {
			t.Errorf("as of %d: %s", until, diff)
		}
		states := []delivery.State{delivery.StateDelivered, delivery.StateRetrying}
		if both, _ := all(x, deliverylog.AttemptFilter{States: states}, until, 31); len(both) < len(want) ||
			!slices.IsSortedFunc(both, func(a, b uint64) int { return int(b) - int(a) }) {
			t.Errorf("as of %d: %d of both states, want more than %d, newest first", until, len(both), len(want))
		}
	}
}

// BenchmarkNothingFound is the dearest search: it looks at every record.
func BenchmarkNothingFound(b *testing.B) {
	x := index.New(1_000_000)
	for n := range uint64(1_000_000) {
		x.Add(attempt(n+1, int(n), delivery.StateDelivered, reasonclass.OK))
	}
	b.ReportAllocs()
	for b.Loop() {
		if found, _, ok := x.Attempts(deliverylog.AttemptFilter{ReplayID: "none"},
			deliverylog.Range{From: 1, Before: 1_000_001, Until: 1_000_000}, 50); !ok || len(found) > 0 {
			b.Fatal("it finds something")
		}
	}
}

func TestAnIndexTellsWhichRecordsAreFollowed(t *testing.T) {
	x := index.New(1_000)
	const told, gap = 3_000, 3 // sequences are not without gaps
	newest := map[int]uint64{}
	want := map[uint64]bool{}
	for n := range uint64(told) {
		sequence, of := (n+1)*gap, rand.IntN(500)
		state := delivery.StateRetrying
		if n%7 == 0 {
			state = delivery.StateDelivered
		}
		x.Add(attempt(sequence, of, state, reasonclass.TLS))
		if before, ok := newest[of]; ok {
			want[before] = true
		}
		if delete(newest, of); state == delivery.StateRetrying {
			newest[of] = sequence
		}
	}
	first, last, _ := x.Span()
	followed := 0
	for sequence := range last + 2*gap {
		// Of what it has forgotten it tells nothing.
		is := want[sequence] && sequence >= first
		if is {
			followed++
		}
		if x.Followed(sequence) != is {
			t.Fatalf("record %d of %d to %d is said to be followed: %v", sequence, first, last, !is)
		}
	}
	if followed == 0 || index.New(0).Followed(gap) {
		t.Errorf("%d records are followed", followed)
	}
}
