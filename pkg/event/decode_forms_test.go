package event_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/outbound-events/outbound/pkg/event"
)

// mustDecode decodes an event that is acceptable.
func mustDecode(t *testing.T, raw []byte) *event.Event {
	t.Helper()
	e, violations := event.Decode(raw)
	if violations != nil {
		t.Fatalf("%s: %v", raw, violations)
	}
	return e
}

func TestDecodeAcceptsEachFormOfTheEnvelope(t *testing.T) {
	plain := event.Event{ID: "e-1", SentID: "e-1", Appliance: "a-1", Source: "a-1", Type: "x_y", SentType: "x_y"}
	session, keyed, dated := plain, plain, plain
	session.Session = "S_1-z"
	keyed.ExternalKey = "INC é 1"
	dated.Time = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name string
		raw  []byte
		want event.Event
	}{
		{"required attributes only", with(), plain},
		{"a session", with("subject", `"S_1-z"`), session},
		{"an empty session", with("subject", `""`), plain},
		{"a null session", with("subject", `null`), plain},
		{"a time", with("time", `"2026-11-21T10:00:00Z"`), dated},
		{"a null time", with("time", `null`), plain},
		{"null data", with("data", `null`), plain},
		{"empty data", with("data", `{}`), plain},
		{"null members of data", with("data", `{"external_key":null,"custom_fields":null}`), plain},
		{"empty custom fields", with("data", `{"custom_fields":{}}`), plain},
		{"an external key", with("data", `{"external_key":"INC \u00e9 1"}`), keyed},
		{"null binary data", with("data_base64", `null`), plain},
		{"a content type", with("datacontenttype", `"application/json"`), plain},
		{"a content type with parameters", with("datacontenttype", `"Application/JSON ; charset=utf-8"`), plain},
		{"a null content type", with("datacontenttype", `null`), plain},
		{"extension attributes of any kind", with("traceparent", `"00-x"`, "n", `-1.5e3`, "o", `{"id":"other"}`, "l", `[1,[],{}]`), plain},
		{"escaped names", []byte(`{"spec\u0076ersion":"1.0","\u0069d":"e-1","source":"a-1","type":"x_y"}`), plain},
		{"escaped values", []byte(`{"specversion":"1\u002e0","id":"e\u002d1","source":"a-1","type":"x\u005fy"}`), plain},
		{"blanks between tokens", []byte(
			"\n\t { \"specversion\" :\r\"1.0\" , \"id\":\n\"e-1\",\t\"source\": \"a-1\", \"type\":\"x_y\"\n} \r\n"), plain},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := *mustDecode(t, c.raw)
			if string(got.Raw) != string(c.raw) {
				t.Errorf("raw became %s", got.Raw)
			}
			if len(got.Variables) != 0 || len(got.Custom) != 0 {
				t.Errorf("variables %v, custom fields %v of an event without any", got.Variables, got.Custom)
			}
			got.Raw, got.Variables, got.Custom = nil, nil, nil
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDecodeReadsTimesOfRFC3339(t *testing.T) {
	utc := func(hour, minute, nanos int) time.Time {
		return time.Date(2026, 11, 21, hour, minute, 0, nanos, time.UTC)
	}
	for text, want := range map[string]time.Time{
		"2026-11-21T10:00:00Z":           utc(10, 0, 0),
		"2026-11-21T10:00:00.5Z":         utc(10, 0, 500_000_000),
		"2026-11-21T10:00:00.123456789Z": utc(10, 0, 123_456_789),
		"2026-11-21T10:00:00+02:00":      utc(8, 0, 0),
		"2026-11-21T10:00:00-05:30":      utc(15, 30, 0),
		"2026-11-21T10:00:00-00:00":      utc(10, 0, 0),
		"2026-11-21t10:00:00z":           utc(10, 0, 0),
		"2026-11-20T23:59:60Z":           utc(0, 0, 0),
		"2026-11-21T01:59:60.5+02:00":    utc(0, 0, 500_000_000),
	} {
		if got := mustDecode(t, with("time", `"`+text+`"`)); !got.Time.Equal(want) {
			t.Errorf("%s was read as %v", text, got.Time)
		}
	}
	for _, text := range []string{
		"2026-11-21", "10:00:00Z", "2026-11-21T10:00:00", "2026-11-21 10:00:00Z", "2026-11-21T9:00:00Z", "2026-11-21T10:00:00,5Z",
		"2026-11-21T10:00Z", "2026-13-21T10:00:00Z", "2026-02-30T10:00:00Z", "2026-11-21T24:00:00Z", "2026-11-21T10:60:00Z",
		"2026-11-21T10:00:60Z",
		"2026-11-21T10:00:00+24:00", "2026-11-21T10:00:00-24:00", "2026-11-21T10:00:00+0200", "1795255200", " 2026-11-21T10:00:00Z", "0x",
	} {
		e, violations := event.Decode(with("time", `"`+text+`"`))
		if faults(violations) != "time UNSUPPORTED" || !e.Time.IsZero() {
			t.Errorf("%s: %v, %v", text, e.Time, violations)
		}
	}
}

// TestTheZeroTimeIsATime uses the time that Go's zero value stands for.
func TestTheZeroTimeIsATime(t *testing.T) {
	now := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	for _, text := range []string{"0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z", "0001-01-01T01:00:00+01:00"} {
		e, violations := event.Decode(with("time", `"`+text+`"`))
		violations = append(violations, e.CheckTime(now)...)
		if faults(violations) != "time TIME_OUT_OF_RANGE" || !strings.Contains(violations.Error(), "more than 8 days ago") {
			t.Errorf("%s: %v", text, violations)
		}
	}
}

func TestDecodeReadsJSONStrictly(t *testing.T) {
	for _, value := range []string{
		"0", "-0", "7", "-7", "10.25", "0.0", "1e5", "1E+05", "1e-5", "-0.1e+9", "true", "false", "null", `""`, `"a"`, "[]", "{}",
		"[1 , 2]", `[{"a":[{}]}]`, `"\u0020"`, "\"\u007f\"", `"/"`, `"\/"`,
	} {
		if _, violations := event.Decode(with("data", `{"a":`+value+`}`)); violations != nil {
			t.Errorf("%s: %v", value, violations)
		}
	}
	for _, value := range []string{
		"", "00", "01", "-", "-a", "+1", ".5", "1.", "1.e5", "1e", "1e+", "0x1", "1_000", "Infinity", "NaN", "nul", "nulls", "True", "truth",
		"fals", "'a'", `"a`, `"\x"`, `"\u12"`, `"\u12g4"`, "\"\t\"", "\"\\\n\"", "[1,]", "[,1]", "[1 2]", "[1", "]", "{,}", `{"a"}`, `{"a":}`,
		`{"a":1,}`, `{"a" 1}`, `{a:1}`, `{1:1}`, "// no", "1 /* no */", "\u00a01", "\ufeff1",
	} {
		_, violations := event.Decode(with("data", `{"a":`+value+`}`))
		if !strings.Contains(faults(violations), event.ReasonMalformed) || !strings.Contains(violations.Error(), "is not valid JSON at byte ") {
			t.Errorf("%s: %v", value, violations)
		}
	}
}

func TestDecodeReadsEachEscapeOnce(t *testing.T) {
	for escaped, want := range map[string]string{
		`\"`: `"`, `\\`: `\`, `\/`: `/`, `\b`: "\b", `\f`: "\f", `\n`: "\n", `\r`: "\r", `\t`: "\t", `\u0041`: "A", `\u00e9`: "é",
		`\u00E9`: "é", `\u2028`: "\u2028", `\ud83d\ude00`: "😀", `\uD83D\uDE00`: "😀", `\ufffd`: "\ufffd", `\\n`: `\n`, `\\\"`: `\"`,
		`a\u0062c\u0064`: "abcd",
	} {
		e := mustDecode(t, with("data", `{"v":"<`+escaped+`>"}`))
		if got := e.Variables[0].Value; got != "<"+want+">" {
			t.Errorf("%s was read as %q", escaped, got)
		}
	}
	for _, half := range []string{`\ud83d`, `\ude00`, `\ud83d\ud83d`, `\ude00\ud83d`, `\ud83dx`, `\ud83d\n`, `\ud83d\u0041`} {
		_, violations := event.Decode(with("data", `{"v":"`+half+`"}`))
		if faults(violations) != "data.v INVALID_UTF8" {
			t.Errorf("%s: %v", half, violations)
		}
	}
}

func TestHalfASurrogatePairIsReportedWhereItIs(t *testing.T) {
	for _, c := range []struct{ field, name, value string }{
		{"data.a.b", "data", `{"a":{"b":"\ud800"}}`},
		{"data.l", "data", `{"l":["\ud800"]}`},
		{"data.external_key", "data", `{"external_key":"\ud800"}`},
		{"data.custom_fields.c", "data", `{"custom_fields":{"c":"\ud800"}}`},
		{"data.\ufffd", "data", `{"\ud800":1}`},
		{"note", "note", `"\ud800"`},
	} {
		_, violations := event.Decode(with(c.name, c.value))
		if faults(violations) != c.field+" INVALID_UTF8" {
			t.Errorf("%s: %v", c.value, violations)
		}
	}
}

func TestDecodeSaysWhereTextIsNotUTF8(t *testing.T) {
	for raw, place := range map[string]string{
		"\xff{}":                      "at byte 0:",
		`{"id":"` + "\x80" + `"}`:     "at byte 7:",
		`{"i":"` + "\ufffd\xc3" + `"`: "at byte 9:",
	} {
		_, violations := event.Decode([]byte(raw))
		if !strings.Contains(faults(violations), " INVALID_UTF8") || !strings.Contains(violations.Error(), place) {
			t.Errorf("%q: %v", raw, violations)
		}
	}
}

// What is at fault is empty in the event; what is sound is there, for the record of the refusal.
func TestARefusedEventHoldsWhatIsSound(t *testing.T) {
	but := func(change func(*event.Event)) event.Event {
		e := event.Event{ID: "e-1", SentID: "e-1", Appliance: "a-1", Source: "a-1", Type: "x_y", SentType: "x_y"}
		change(&e)
		return e
	}
	for _, c := range []struct {
		name string
		raw  []byte
		want event.Event
	}{
		{"id", with("id", `"a\tb"`), but(func(e *event.Event) { e.ID, e.SentID = "", "" })},
		{"source", with("source", `"a b"`), but(func(e *event.Event) { e.Appliance, e.Source = "", "" })},
		{"type", with("type", `"\n"`), but(func(e *event.Event) { e.Type, e.SentType = "", "" })},
		{"subject", with("subject", `"\n"`), but(func(*event.Event) {})},
		{"time", with("time", `"now"`), but(func(*event.Event) {})},
		{"external key", with("data", `{"external_key":"\n"}`), but(func(*event.Event) {})},
		{"not an object", []byte(`7`), event.Event{}},
		{"cut short", []byte(`{"specversion":"1.0","id":"e-1","source":"a`), event.Event{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, violations := event.Decode(c.raw)
			if violations == nil {
				t.Fatal("it was accepted")
			}
			if string(got.Raw) != string(c.raw) {
				t.Errorf("raw became %q", got.Raw)
			}
			kept := *got
			kept.Raw, kept.Variables, kept.Custom = nil, nil, nil
			if diff := cmp.Diff(c.want, kept); diff != "" {
				t.Error(diff)
			}
		})
	}
}
