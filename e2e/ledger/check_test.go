package ledger_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/outbound-events/outbound/e2e/ledger"
)

// well tells of one event that arrives everywhere, and of what a test adds.
func well(t *testing.T, also func(s *ledger.Story)) map[string]int {
	t.Helper()
	dir := t.TempDir()
	s := ledger.Tell(dir)
	s.Event("good", "accepted")
	for _, r := range ledger.Selecting() {
		s.Receive(r, "good", "b", false)
		s.Receive(r, "good", "b", true)
		s.Final(r, "good", "DELIVERED")
	}
	also(s)
	if s.Err() != nil {
		t.Fatal(s.Err())
	}
	r, err := ledger.Check(dir)
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]int{}
	for _, f := range r.Findings() {
		t.Logf("%s: %s", f.Kind, f.What)
		kinds[f.Kind]++
	}
	if want := 1; len(kinds) > 0 {
		if r.Code() != want {
			t.Errorf("with findings the exit code is %d, want %d", r.Code(), want)
		}
	} else if r.Code() != 0 {
		t.Errorf("without findings the exit code is %d", r.Code())
	}
	return kinds
}

func TestEachKindOfErrorIsFound(t *testing.T) {
	const one = "steady"
	rest := func(s *ledger.Story, id string) {
		for _, r := range ledger.Selecting() {
			if r != one {
				s.Receive(r, id, "b", true)
				s.Final(r, id, "DELIVERED")
			}
		}
	}
	for _, c := range []struct {
		name string
		also func(s *ledger.Story)
		want map[string]int
	}{
		{"nothing", func(*ledger.Story) {}, map[string]int{}},
		{"an unknown result may arrive or not", func(s *ledger.Story) {
			s.Event("e", "unknown")
			s.Event("f", "unknown")
			s.Receive(one, "e", "b", true)
			s.Final(one, "e", "DELIVERED")
		}, map[string]int{}},
		{"neither received nor recorded", func(s *ledger.Story) { s.Event("e", "accepted"); rest(s, "e") },
			map[string]int{ledger.Lost: 1, ledger.Sum: 1}},
		{"recorded, never received", func(s *ledger.Story) {
			s.Event("e", "accepted")
			rest(s, "e")
			s.Receive(one, "e", "b", false)
			s.Final(one, "e", "DELIVERED")
		}, map[string]int{ledger.Lost: 1}},
		{"received, not recorded", func(s *ledger.Story) { s.Event("e", "accepted"); rest(s, "e"); s.Receive(one, "e", "b", true) },
			map[string]int{ledger.Sum: 2}},
		{"a final state that nothing explains", func(s *ledger.Story) {
			s.Event("e", "accepted")
			rest(s, "e")
			s.Final(one, "e", "CANCELLED")
		}, map[string]int{ledger.Lost: 1}},
		{"still retrying", func(s *ledger.Story) { s.Event("e", "accepted"); rest(s, "e"); s.Final(one, "e", "RETRYING") },
			map[string]int{ledger.Lost: 1, ledger.Sum: 1}},
		{"never published", func(s *ledger.Story) { s.Receive(one, "x", "b", true) }, map[string]int{ledger.Phantom: 1}},
		{"recorded, never published", func(s *ledger.Story) { s.Final(one, "x", "DELIVERED") }, map[string]int{ledger.Phantom: 1}},
		{"refused, and received", func(s *ledger.Story) { s.Event("e", "refused"); s.Receive(one, "e", "b", true) },
			map[string]int{ledger.Phantom: 1, ledger.Intake: 1}},
		{"not selected", func(s *ledger.Story) { s.Receive("filters", "good", "b", true) }, map[string]int{ledger.Phantom: 1}},
		{"another body", func(s *ledger.Story) {
			s.Event("e", "accepted")
			rest(s, "e")
			s.Receive(one, "e", "b", false)
			s.Receive(one, "e", "c", true)
			s.Final(one, "e", "DELIVERED")
		}, map[string]int{ledger.Changed: 1}},
		{"other content", func(s *ledger.Story) {
			s.Event("e", "accepted")
			rest(s, "e")
			s.Alter(one, "e")
			s.Final(one, "e", "DELIVERED")
		}, map[string]int{ledger.Changed: 1}},
		{"twice for an orderly restart", func(s *ledger.Story) { s.Restart(0); s.Receive(one, "good", "b", true) },
			map[string]int{ledger.Promise: 1}},
		{"twice for a record that was given up", func(s *ledger.Story) { s.Restart(1); s.Receive(one, "good", "b", true) }, map[string]int{}},
		{"twice in an orderly restart, for a timeout of the sender's", func(s *ledger.Story) {
			s.Restart(0)
			s.Event("e", "accepted")
			rest(s, "e")
			s.Receive(one, "e", "b", true)
			s.Receive(one, "e", "b", true)
			s.Attempted(one, "e", "DELIVERED", 2)
		}, map[string]int{}},
		{"twice without a cause", func(s *ledger.Story) { s.Receive(one, "good", "b", true) }, map[string]int{ledger.Promise: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := well(t, c.also); !reflect.DeepEqual(got, c.want) {
				t.Errorf("found %v, want %v", got, c.want)
			}
		})
	}
}

func TestNumbersAreChecked(t *testing.T) {
	for _, c := range []struct {
		name           string
		first, second  string
		told, recorded string
		found          bool
	}{
		{"one after the other", "1", "2", "", "", false},
		{"a gap", "1", "3", "", "", true},
		{"the same twice", "1", "1", "", "", true},
		{"another one in the record", "1", "2", "", "3", true},
		{"none in the request", "1", "2", "-", "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			s := ledger.Tell(dir)
			for i, number := range []string{c.first, c.second} {
				id := []string{"e", "f"}[i]
				s.Event(id, "accepted")
				for _, r := range ledger.Selecting() {
					told, recorded := []string{"1", "2"}[i], []string{"1", "2"}[i]
					if r == "steady" {
						told, recorded = number, number
						if i == 1 && c.told != "" {
							told = ""
						}
						if i == 1 && c.recorded != "" {
							recorded = c.recorded
						}
					}
					s.Numbered(r, id, told, recorded)
				}
			}
			if s.Err() != nil {
				t.Fatal(s.Err())
			}
			r, err := ledger.Check(dir)
			if err != nil {
				t.Fatal(err)
			}
			found := false
			for _, f := range r.Findings() {
				t.Logf("%s: %s", f.Kind, f.What)
				found = found || f.Kind == ledger.Number
			}
			if found != c.found {
				t.Errorf("found: %v, want %v", found, c.found)
			}
		})
	}
}

func TestDiscardedRecordsAreReadFromEitherFormatOfLogs(t *testing.T) {
	log := `time=2026-01-01T00:00:00Z level=WARN msg="messages discarded: the broker does not respond" service=outbound stream=HISTORY messages=8
{"level":"WARN","msg":"messages discarded: the broker does not respond","service":"http-sender","stream":"HISTORY","messages":30}
{"level":"WARN","msg":"messages discarded: the broker does not respond","service":"ingest","stream":"EVENTS","messages":500}
`
	if n := ledger.DiscardedIn(log); n != 38 {
		t.Errorf("it reads %d, want 38", n)
	}
}

func TestASeedDecidesThePlan(t *testing.T) {
	at := func(seed uint64) any {
		return ledger.PlanOf(ledger.Settings{Seed: seed, Length: 30 * time.Minute, Rate: 40, LongFaults: true})
	}
	if !reflect.DeepEqual(at(1), at(1)) {
		t.Error("one seed has two plans")
	}
	if reflect.DeepEqual(at(1), at(2)) {
		t.Error("two seeds have one plan")
	}
}

func TestUnknownFaultsAreNamed(t *testing.T) {
	_, err := ledger.Run(ledger.Settings{Only: []string{"earthquake"}, Dir: t.TempDir()})
	if err == nil || len(ledger.FaultNames()) < 30 {
		t.Errorf("an unknown fault is answered with %v", err)
	}
}
