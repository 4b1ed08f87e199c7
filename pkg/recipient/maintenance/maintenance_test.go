package maintenance_test

import (
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/outbound-events/outbound/pkg/recipient/maintenance"
)

func parse(t *testing.T, lines ...string) *maintenance.Schedule {
	t.Helper()
	var all []maintenance.Window
	for _, line := range lines {
		w, err := maintenance.Parse(line)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if w.String() != line {
			t.Errorf("%q is written as %q", line, w)
		}
		all = append(all, w)
	}
	return maintenance.New(all)
}

func at(t *testing.T, text string) time.Time {
	t.Helper()
	out, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestWeeklyWindowKeepsToTheClocksOfItsZone has a row for both changes of the clocks in Berlin (2026-03-29 02:00 → 03:00 and
// 2026-10-25 03:00 → 02:00) and for the nights around them.
func TestWeeklyWindowKeepsToTheClocksOfItsZone(t *testing.T) {
	for _, x := range []struct{ line, about, start, end string }{
		{"Sat 22:00 6h Europe/Berlin", "2026-03-21T22:30:00Z", "2026-03-21T21:00:00Z", "2026-03-22T03:00:00Z"},
		{"Sat 22:00 6h Europe/Berlin", "2026-03-29T00:30:00Z", "2026-03-28T21:00:00Z", "2026-03-29T03:00:00Z"}, // until 05:00 summer time
		{"Sat 22:00 6h Europe/Berlin", "2026-04-04T21:00:00Z", "2026-04-04T20:00:00Z", "2026-04-05T02:00:00Z"},
		{"Sat 22:00 6h Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-24T20:00:00Z", "2026-10-25T02:00:00Z"}, // until 03:00 winter time
		{"Sun 02:30 1h Europe/Berlin", "2026-03-29T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z"}, // 02:30 is skipped: at 03:00
		{"Sun 02:30 1h Europe/Berlin", "2026-10-25T01:00:00Z", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"}, // the first 02:30
		{"Sun 03:00 1h Europe/Berlin", "2026-03-29T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z"},
		{"Sun 03:00 1h Europe/Berlin", "2026-10-25T02:30:00Z", "2026-10-25T02:00:00Z", "2026-10-25T03:00:00Z"},
		{"Sun 02:30 30m Australia/Lord_Howe", "2026-10-03T15:45:00Z", "2026-10-03T15:30:00Z", "2026-10-03T16:00:00Z"}, // 02:00 → 02:30
		{"Mon 00:00 2d Asia/Kolkata", "2026-06-02T12:00:00Z", "2026-05-31T18:30:00Z", "2026-06-02T18:30:00Z"},
		{"2026-10-25T02:30 2026-10-25T02:30 Europe/Berlin", "2026-10-25T01:00:00Z", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"},
		{"Fri,Sat 12:00 1d UTC", "2026-06-06T13:00:00Z", "2026-06-05T12:00:00Z", "2026-06-07T12:00:00Z"}, // joined
	} {
		s := parse(t, x.line)
		b, open := s.At(at(t, x.about))
		if !open || !b.Start.Equal(at(t, x.start)) || !b.End.Equal(at(t, x.end)) {
			t.Errorf("%s at %s: %s to %s (open: %t), want %s to %s", x.line, x.about, b.Start.UTC(), b.End.UTC(), open, x.start, x.end)
		}
		for _, edge := range []struct {
			at   time.Time
			open bool
		}{{b.Start.Add(-1), false}, {b.Start, true}, {b.End.Add(-1), true}, {b.End, false}} {
			if _, open := s.At(edge.at); open != edge.open {
				t.Errorf("%s at %s: open %t", x.line, edge.at, open)
			}
		}
		if next, ok := s.Next(b.Start.Add(-time.Hour)); !ok || !next.Start.Equal(b.Start) {
			t.Errorf("%s: the next window before %s is %v", x.line, x.start, next)
		}
		if last, ok := s.Last(b.End.Add(time.Hour)); !ok || !last.End.Equal(b.End) {
			t.Errorf("%s: the last window after %s is %v", x.line, x.end, last)
		}
	}
}

func TestWindowsThatCannotBeReadSayWhatToWrite(t *testing.T) {
	for line, want := range map[string]string{
		"":                          "write 'Sat,Sun 22:00 6h Europe/Berlin'",
		"Sat 22:00 6h":              "is not a time zone",
		"Sat 22:00 6h Local":        `"Local" is not a time zone`,
		"Sat 22:00 6h Mars/Olympus": `"Mars/Olympus" is not a time zone`,
		"Sat 24:00 6h UTC":          `"24:00" is not a time of day`,
		"Sat 9:00 6h UTC":           `"9:00" is not a time of day`,
		"Sat 22:00 6 UTC":           `"6" is not a duration`,
		"Sat 22:00 8d UTC":          `"8d" is not a duration from 1m to 7d`,
		"Sat 22:00 30s UTC":         `"30s" is not a duration`,
		"Caturday 22:00 6h UTC":     `"Caturday" is not a day`,
		"Sat,Sat 22:00 6h UTC":      "Sat is named twice",
		"Fri-Sun,Sat 22:00 6h UTC":  "Sat is named twice",
		"Sat 22:00 6h UTC drain=x":  `"x" is not a number of deliveries per second`,
		"2026-03-29T02:30 2026-03-29T05:00 Europe/Berlin": "2026-03-29T02:30 does not exist in Europe/Berlin",
		"2026-12-02T04:00 2026-12-01T22:00 UTC":           "is not after the start",
		"2026-12-01T04:00 2026-12-09T22:00 UTC":           "longer than 7 days",
		"2026-12-01 2026-12-02 UTC":                       `"2026-12-01" is not a time: write it as 2026-12-01T22:00`,
		"a b c d e f":                                     "is not a maintenance window",
	} {
		if w, err := maintenance.Parse(line); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q gives %v and %v, want an error with %q", line, w, err, want)
		}
	}
	if w, err := maintenance.Parse("mon-wed 01:00 90m UTC drain=5"); err != nil || w.String() != "Mon,Tue,Wed 01:00 90m UTC drain=5" {
		t.Errorf("%v %v", w, err)
	}
}

func TestOverlappingWindowsAreOneWithTheLowestRate(t *testing.T) {
	s := parse(t, "daily 22:00 2h UTC", "2026-12-01T23:00 2026-12-02T04:00 Europe/Berlin drain=20", "Tue 23:30 90m UTC drain=5")
	b, open := s.At(at(t, "2026-12-01T22:30:00Z"))
	if !open || !b.Start.Equal(at(t, "2026-12-01T22:00:00Z")) || !b.End.Equal(at(t, "2026-12-02T03:00:00Z")) || b.DrainRate != 5 ||
		b.Zone.String() != "Europe/Berlin" {
		t.Errorf("%+v", b)
	}
	after := at(t, "2026-12-02T03:00:01Z")
	if r := s.DrainRate(at(t, "2026-12-02T02:59:59Z"), after); r != 5 {
		t.Errorf("what was held is drained at %d", r)
	}
	if r := s.DrainRate(at(t, "2026-12-02T03:00:00Z"), after); r != 0 {
		t.Errorf("what came after it is held to %d a second", r)
	}
	if b := s.Longest(after); b.End.Sub(b.Start) != 5*time.Hour {
		t.Errorf("the longest is %+v", b)
	}
	if b := parse(t, "daily 00:00 1d UTC").Longest(after); b.End.Sub(b.Start) <= maintenance.MaxHeld {
		t.Errorf("a window that never closes is %s long", b.End.Sub(b.Start))
	}
}

func TestTimeInAWindowDoesNotCount(t *testing.T) {
	s := parse(t, "daily 22:00 6h UTC")
	for _, x := range []struct {
		begin, end string
		span       time.Duration
	}{
		{"2026-12-01T12:00:00Z", "2026-12-01T13:00:00Z", time.Hour},
		{"2026-12-01T21:30:00Z", "2026-12-02T04:30:00Z", time.Hour},
		{"2026-12-01T23:00:00Z", "2026-12-02T05:00:00Z", time.Hour},
		{"2026-12-01T21:00:00Z", "2026-12-01T22:00:00Z", time.Hour},
		{"2026-12-01T04:00:00Z", "2026-12-02T10:00:00Z", 24 * time.Hour},
	} {
		if end := s.End(at(t, x.begin), x.span); !end.Equal(at(t, x.end)) {
			t.Errorf("%s after %s is %s, want %s", x.span, x.begin, end, x.end)
		}
	}
	var none *maintenance.Schedule
	if _, open := none.At(time.Now()); open || none.DrainRate(time.Time{}, time.Now()) != 0 || none.Windows() != nil {
		t.Error("a schedule without windows has some")
	}
}
