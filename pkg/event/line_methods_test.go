package event_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/event"
)

func TestALineIsWrittenFieldByField(t *testing.T) {
	at := time.Date(2026, 11, 21, 10, 0, 0, 120_000_000, time.FixedZone("", 2*3600))
	for _, c := range []struct {
		name  string
		write func(*event.Line)
		want  string
	}{
		{"nothing", func(*event.Line) {}, `{}`},
		{"a text", func(l *event.Line) { l.Text("a", "b") }, `{"a":"b"}`},
		{"an empty text", func(l *event.Line) { l.Text("a", "") }, `{"a":""}`},
		{"a text with quotes", func(l *event.Line) { l.Text("a", `"\`) }, `{"a":"\"\\"}`},
		{"a text that HTML would read", func(l *event.Line) { l.Text("a", "<&>") }, `{"a":"\u003c\u0026\u003e"}`},
		{"a truth", func(l *event.Line) { l.Flag("a", true); l.Flag("b", false) }, `{"a":true,"b":false}`},
		{"numbers", func(l *event.Line) { l.Int("a", math.MinInt64); l.Uint("b", math.MaxUint64) },
			`{"a":-9223372036854775808,"b":18446744073709551615}`},
		{"zeros", func(l *event.Line) { l.Int("a", 0); l.Uint("b", 0) }, `{"a":0,"b":0}`},
		{"a time", func(l *event.Line) { l.Time("a", at) }, `{"a":"2026-11-21T10:00:00.12+02:00"}`},
		{"anything", func(l *event.Line) { l.Any("a", []int{1}); l.Any("b", nil) }, `{"a":[1],"b":null}`},
		{"what is there", func(l *event.Line) {
			l.TextIf("a", "b")
			l.FlagIf("c", true)
			l.IntIf("d", -1)
			l.UintIf("e", 1)
			l.TimeIf("f", &at)
		}, `{"a":"b","c":true,"d":-1,"e":1,"f":"2026-11-21T10:00:00.12+02:00"}`},
		{"what is not there", func(l *event.Line) {
			l.TextIf("a", "")
			l.FlagIf("c", false)
			l.IntIf("d", 0)
			l.UintIf("e", 0)
			l.TimeIf("f", nil)
		}, `{}`},
		{"what is not there between others", func(l *event.Line) { l.Int("a", 1); l.TextIf("b", ""); l.Int("c", 2) }, `{"a":1,"c":2}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			// The size is room, not a bound.
			for _, size := range []int{0, 1, 1024} {
				l := event.NewLine(size)
				c.write(l)
				if got, err := l.End(); err != nil || string(got) != c.want {
					t.Errorf("got  %s, %v\nwant %s", got, err, c.want)
				}
			}
		})
	}
}

func TestALineReportsTheFirstFieldThatCannotBeWritten(t *testing.T) {
	l := event.NewLine(0)
	l.Int("fine", 1)
	l.Any("first", make(chan int))
	l.Any("second", func() {})
	if _, err := l.End(); err == nil || !strings.Contains(err.Error(), "write first: ") {
		t.Errorf("%v", err)
	}
}

func TestALineWritesTheTimesThatEncodingJSONWrites(t *testing.T) {
	day := 24 * 3600
	for _, at := range []time.Time{
		{}, time.Unix(0, 0), time.Unix(0, 1).UTC(), time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC),
		time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC), time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC),
		time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 1, 1, 0, 0, 0, 0, time.FixedZone("", day-60)),
		time.Date(2026, 1, 1, 0, 0, 0, 0, time.FixedZone("", -day+60)), time.Date(2026, 1, 1, 0, 0, 0, 0, time.FixedZone("", day)),
		time.Date(2026, 1, 1, 0, 0, 0, 0, time.FixedZone("", -day)),
	} {
		want, wanted := json.Marshal(map[string]time.Time{"a": at})
		l := event.NewLine(0)
		l.Time("a", at)
		got, err := l.End()
		if (err == nil) != (wanted == nil) || err == nil && string(got) != string(want) {
			t.Errorf("got  %s, %v\nwant %s, %v", got, err, want, wanted)
		}
	}
}

// A line is what encoding/json writes, whatever the text is.
func FuzzALineIsWhatEncodingJSONWrites(f *testing.F) {
	for _, text := range []string{"", "plain", "\x00", "a\tb", "\x1f", "\x7f", `"`, `\`, "<&>", "\x00\n\x7f", "é\u2028\u2029", "\xff", "😀"} {
		f.Add(text, int64(-1), uint64(1), int64(0))
	}
	f.Fuzz(func(t *testing.T, text string, number int64, natural uint64, nanos int64) {
		type line struct {
			Text    string    `json:"text"`
			More    string    `json:"more,omitempty"`
			Number  int64     `json:"number,omitempty"`
			Natural uint64    `json:"natural,omitempty"`
			Time    time.Time `json:"time"`
		}
		at := time.Unix(0, nanos).UTC()
		want, err := json.Marshal(line{text, text, number, natural, at})
		if err != nil {
			t.Fatal(err)
		}
		l := event.NewLine(16)
		l.Text("text", text)
		l.TextIf("more", text)
		l.IntIf("number", number)
		l.UintIf("natural", natural)
		l.Time("time", at)
		if got, err := l.End(); err != nil || string(got) != string(want) {
			t.Errorf("got  %s, %v\nwant %s", got, err, want)
		}
	})
}

// A record that is stored reads as the same record.
func TestAnIntakeRecordIsReadBack(t *testing.T) {
	at := time.Date(2026, 11, 21, 10, 0, 0, 1, time.UTC)
	for name, r := range map[string]event.IntakeRecord{
		"accepted": {Accepted: true, Appliance: "a-1", EventID: "e-1", Type: "x_y", Session: "s", ExternalKey: "K", EventTime: &at, Time: at,
			Sequence: 7, Via: "nats"},
		"rejected": {Appliance: "a-1", Time: at,
			Violations: event.Violations{{Field: "id", Reason: event.ReasonMissing, Description: "is missing"}},
			Raw:        []byte("{\xff"), Via: "http"},
		"recovered": {Accepted: true, Appliance: "a-1", EventID: "e-1", Time: at, Sequence: 1, Recovered: true},
	} {
		raw, err := r.JSON()
		if err != nil {
			t.Fatal(err)
		}
		var back event.IntakeRecord
		if err := json.Unmarshal(raw, &back); err != nil {
			t.Fatal(err)
		}
		again, err := back.JSON()
		if err != nil || string(again) != string(raw) {
			t.Errorf("%s: %s became %s, %v", name, raw, again, err)
		}
	}
}
