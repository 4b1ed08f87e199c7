package verify_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/outbound-events/outbound/pkg/audit"
	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/services/history/internal/verify"
)

// expect compares the faults with those that were made.
func expect(t *testing.T, s *system, want ...string) verify.Result {
	t.Helper()
	r := s.verify(verify.Request{})
	slices.Sort(want)
	if diff := cmp.Diff(want, names(r)); diff != "" {
		t.Errorf("%s\n%+v", diff, r.Faults)
	}
	return r
}

func TestEveryRecordThatIsFlippedIsNamed(t *testing.T) {
	for what, flip := range map[string]func(*message){
		"data":    func(m *message) { m.data[len(m.data)/2] ^= 1 },
		"subject": func(m *message) { m.subject[len(m.subject)-1] ^= 1 },
		"time":    func(m *message) { m.time += 1_000_000_000 },
		"header": func(m *message) {
			m.header = bytes.Replace(m.header, []byte("Outbound-Record: "), []byte("Outbound-Record: x"), 1)
		},
	} {
		t.Run(what, func(t *testing.T) {
			s := covered(t, 8)
			var want []string
			s.edit(bus.StreamHistory, func(all []message) []message {
				for i := 0; i < len(all); i += 2 {
					flip(&all[i])
					want = append(want, fmt.Sprint(audit.Changed, " ", all[i].sequence))
				}
				return all
			})
			r := expect(t, s, want...)
			f := r.Faults[1]
			if len(want) != 12 || what == "data" && (f.Recipient != "crm" || f.Event != "tux~e0" || f.What != "DELIVERED") {
				t.Errorf("%d flipped, %+v", len(want), r.Faults)
			}
		})
	}
}

func TestEveryRecordThatIsDroppedIsNamed(t *testing.T) {
	s := covered(t, 8)
	var want []string
	stream, err := s.conn.JS.Stream(t.Context(), bus.StreamHistory)
	if err != nil {
		t.Fatal(err)
	}
	for i := uint64(2); i < 24; i += 3 { // the attempts that failed
		if err := stream.DeleteMsg(t.Context(), i); err != nil {
			t.Fatal(err)
		}
		want = append(want, fmt.Sprint(audit.Removed, " ", i))
	}
	r := expect(t, s, want...)
	if f := r.Faults[0]; len(want) != 8 || f.What != "RETRYING" || f.Recipient != "crm" || f.Event != "tux~e0" {
		t.Errorf("%d dropped, the first is %+v", len(want), f)
	}
	// The first and the last ones, by the file.
	s = covered(t, 4)
	s.edit(bus.StreamHistory, func(all []message) []message { return all[2 : len(all)-2] })
	expect(t, s, "REMOVED 1", "REMOVED 2", "REMOVED 11", "REMOVED 12")
}

func TestEveryRecordThatIsMovedIsNamed(t *testing.T) {
	s := covered(t, 8)
	swap := func(a, b *message) {
		a.subject, b.subject, a.header, b.header, a.data, b.data = b.subject, a.subject, b.header, a.header, b.data, a.data
	}
	s.edit(bus.StreamHistory, func(all []message) []message {
		swap(&all[2], &all[3])
		swap(&all[7], &all[20])
		return all
	})
	expect(t, s, "REORDERED 3", "REORDERED 4", "REORDERED 8", "REORDERED 21")
}

func TestEveryRecordThatIsInsertedIsNamed(t *testing.T) {
	s := covered(t, 8)
	insert := func(all []message, at int, subject string) []message {
		m := message{sequence: all[at].sequence, time: all[at].time, subject: []byte(subject), data: []byte(`{"recipient":"crm"}`)}
		all = slices.Insert(all, at, m)
		for i := at + 1; i < len(all); i++ {
			all[i].sequence++
		}
		return all
	}
	const forged = "outbound.history.attempt.crm.DELIVERED.audio.-.-.tux.e99"
	s.edit(bus.StreamHistory, func(all []message) []message { return insert(insert(all, 5, forged), 15, forged+"9") })
	r := expect(t, s, "INSERTED 6", "INSERTED 16", "REORDERED 7-15", "REORDERED 17-26")
	if f := r.Faults[0]; f.Recipient != "crm" || f.Event != "tux~e99" {
		t.Errorf("the first is %+v", f)
	}
	// One more that is dropped, so that nothing moves behind.
	s = covered(t, 8)
	s.edit(bus.StreamHistory, func(all []message) []message {
		return insert(slices.Delete(all, 9, 10), 5, forged)
	})
	got := names(s.verify(verify.Request{}))
	if !slices.Contains(got, "INSERTED 6") || !slices.Contains(got, "REMOVED 10") {
		t.Error(got)
	}
}

func TestALogThatWasWrittenAnewIsNamed(t *testing.T) {
	s := covered(t, 8)
	var all []message
	s.edit(bus.StreamHistory, func(m []message) []message {
		all = m
		return m
	})
	stream, err := s.conn.JS.Stream(t.Context(), bus.StreamHistory)
	if err != nil {
		t.Fatal(err)
	}
	config := stream.CachedInfo().Config
	if err := s.conn.JS.DeleteStream(t.Context(), bus.StreamHistory); err != nil {
		t.Fatal(err)
	}
	if _, err := s.conn.JS.CreateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	for i, m := range all {
		if i == 6 {
			m.data = bytes.Replace(m.data, []byte("e2"), []byte("e3"), 1)
		}
		republish(t, s.conn, m)
	}
	expect(t, s, "CHANGED 1-6", "CHANGED 7", "CHANGED 8-24")
}

func TestCheckpointsThatAreChangedOrRemovedAreNamed(t *testing.T) {
	s := covered(t, 8)
	stream, err := s.conn.JS.Stream(t.Context(), bus.StreamCheckpoints)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.DeleteMsg(t.Context(), 1); err == nil {
		t.Error("the broker deletes a segment")
	}
	head := s.verify(verify.Request{})
	if head.HeadNumber != 2 {
		t.Fatalf("%+v", head)
	}
	s.edit(bus.StreamCheckpoints, func(all []message) []message { return all[:1] })
	r := s.verify(verify.Request{HeadNumber: head.HeadNumber, HeadHash: head.HeadHash})
	if got := names(r); !slices.Equal(got, []string{"REMOVED checkpoint 2"}) || r.Covered != 12 {
		t.Errorf("the last checkpoint was removed: %v", r)
	}
	s = covered(t, 8)
	s.edit(bus.StreamCheckpoints, func(all []message) []message { return all[1:] })
	if r := s.verify(verify.Request{HeadNumber: 2, HeadHash: "0"}); !slices.Equal(names(r), []string{"CHANGED checkpoint 2"}) {
		t.Errorf("another checkpoint was noted: %+v", r)
	}
	for what, change := range map[string]func([]byte) []byte{
		"signature": func(b []byte) []byte { return bytes.Replace(b, []byte(`number 1\n`), []byte(`number 7\n`), 1) },
		"entry":     func(b []byte) []byte { b[len(b)-1] ^= 1; return b },
		"header":    func(b []byte) []byte { b[0] ^= 1; return b },
	} {
		s := covered(t, 8)
		s.edit(bus.StreamCheckpoints, func(all []message) []message {
			all[0].data = change(all[0].data)
			return all
		})
		r := s.verify(verify.Request{})
		if len(r.Faults) == 0 || r.Faults[0].Sequence != 0 || r.Faults[0].Kind != audit.Changed {
			t.Errorf("another %s: %+v", what, r)
		}
	}
	other := covered(t, 2)
	other.keys = newKeys(t)
	if r := other.verify(verify.Request{}); len(r.Faults) < 2 || !strings.Contains(r.Faults[0].Text, "not signed") {
		t.Errorf("another key: %+v", r)
	}
}

func TestRecordsBetweenCheckpointsHaveTheirChains(t *testing.T) {
	s := covered(t, 4)
	s.write(4, 4) // records 13 to 24, which no checkpoint covers
	s.edit(bus.StreamHistory, func(all []message) []message {
		all[14].data[3] ^= 1
		return slices.Delete(all, 17, 18)
	})
	expect(t, s, "CHANGED 15", "REMOVED 18")
	republish(t, s.conn, message{subject: []byte("outbound.history.intake.tux.accepted.forged"), data: []byte("{}")})
	expect(t, s, "CHANGED 15", "REMOVED 18", "INSERTED 25")
}
