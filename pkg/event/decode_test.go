package event_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/outbound-events/outbound/pkg/event"
)

const good = `{"specversion":"1.0","id":"e-1","source":"appliance-1","type":"support_conference_end","time":"2026-11-21T10:00:00Z",
"subject":"0a1b","datacontenttype":"application/json","traceparent":"00-x","data":{"external_key":"INC-1",
"custom_fields":{"region":"emea","floor":3},"zeta":"last","duration":1260.50,"ok":true,"none":null,"big":12345678901234567890,
"customer":{"name":"Maria","address":{"city":"Utrecht"}},"empty":{},"answers":[ {"q": "a b", "n": [1, 2]} , "\" x" ]}}`

func TestDecodeReadsEnvelopeAndFlattensData(t *testing.T) {
	got, violations := event.Decode([]byte(good))
	if violations != nil {
		t.Fatal(violations)
	}
	want := &event.Event{
		ID: "e-1", SentID: "e-1", Appliance: "appliance-1", Source: "appliance-1",
		Type: "support_conference_end", SentType: "support_conference_end", Time: time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC),
		Session: "0a1b", ExternalKey: "INC-1", Raw: []byte(good),
		Custom: []event.Variable{{Name: "floor", Value: "3"}, {Name: "region", Value: "emea"}},
		Variables: []event.Variable{
			{Name: "answers", Value: `[{"q":"a b","n":[1,2]},"\" x"]`}, {Name: "big", Value: "12345678901234567890"},
			{Name: "customer.address.city", Value: "Utrecht"}, {Name: "customer.name", Value: "Maria"}, {Name: "duration", Value: "1260.50"},
			{Name: "empty", Value: ""}, {Name: "none", Value: ""}, {Name: "ok", Value: "true"}, {Name: "zeta", Value: "last"},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got.Key() != "appliance-1~e-1" {
		t.Error(got.Key())
	}
}

func TestDecodeReadsEscapes(t *testing.T) {
	got, violations := event.Decode(with("data", `{"v":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00","\u0061":"\u0000"}`))
	if violations != nil {
		t.Fatal(violations)
	}
	want := []event.Variable{{Name: "a", Value: "\x00"}, {Name: "v", Value: "\"\\/\b\f\n\r\té😀"}}
	if diff := cmp.Diff(want, got.Variables); diff != "" {
		t.Error(diff)
	}
}

// with is a minimal event with some attributes set to JSON values, or removed where the value is empty.
func with(pairs ...string) []byte {
	attributes := map[string]json.RawMessage{
		"specversion": json.RawMessage(`"1.0"`), "id": json.RawMessage(`"e-1"`), "source": json.RawMessage(`"a-1"`),
		"type": json.RawMessage(`"x_y"`),
	}
	for i := 0; i < len(pairs); i += 2 {
		if attributes[pairs[i]] = json.RawMessage(pairs[i+1]); pairs[i+1] == "" {
			delete(attributes, pairs[i])
		}
	}
	var b strings.Builder
	for name, value := range attributes {
		fmt.Fprintf(&b, ",%q:%s", name, value)
	}
	return []byte("{" + b.String()[1:] + "}")
}

func numbered(n int, format string) string {
	parts := make([]string, n)
	for i := range parts {
		parts[i] = fmt.Sprintf(format, i)
	}
	return strings.Join(parts, ",")
}

func TestDecodeRefuses(t *testing.T) {
	long := strings.Repeat("x", 1025)
	for _, c := range []struct {
		name   string
		raw    []byte
		want   string // field and reason of each violation
		remedy string
	}{
		{"nothing", nil, " MALFORMED_JSON", "at byte 0"},
		{"no JSON", []byte("hello"), " MALFORMED_JSON", "'h' instead of a value"},
		{"cut short", []byte(`{"id":"e`), "id MALFORMED_JSON", "at byte 8: a string is not terminated"},
		{"a comma too many", []byte(`{"id":"e",}`), " MALFORMED_JSON", "at byte 10"},
		{"more after the end", append(with(), '1'), " MALFORMED_JSON", "after the event's end"},
		{"a leading zero", with("data", `{"a":01}`), "data MALFORMED_JSON", ""},
		{"a bare control character", with("id", "\"a\nb\""), "id MALFORMED_JSON", "escape"},
		{"an array", []byte(`[1]`), " WRONG_JSON_TYPE", "JSON object"},
		{"not UTF-8", with("data", "{\"a\":\"\xff\"}"), " INVALID_UTF8", "at byte"},
		{"half a surrogate pair", with("data", `{"a":"\ud800x"}`), "data.a INVALID_UTF8", "both halves"},
		{"an empty object", []byte(`{}`), "specversion MISSING|id MISSING|source MISSING|type MISSING", "give each event"},
		{"nulls", with("id", "null", "time", "null", "subject", "null"), "id MISSING", ""},
		{"empty texts", with("id", `""`, "source", `""`, "time", `""`), "id MISSING|source MISSING|time MISSING", "is empty"},
		{"wrong version", with("specversion", `"0.3"`), "specversion UNSUPPORTED", "send CloudEvents 1.0"},
		{"wrong JSON types", with("id", "1", "source", "{}", "type", "[]", "subject", "true"),
			"id WRONG_JSON_TYPE|source WRONG_JSON_TYPE|subject WRONG_JSON_TYPE|type WRONG_JSON_TYPE", "send a string"},
		{"control characters", with("id", `"a\tb"`, "source", `"a\n"`, "type", `"\u0000"`, "subject", `"\u0085"`),
			"id UNSAFE_CHARACTERS|source UNSAFE_CHARACTERS|subject UNSAFE_CHARACTERS|type UNSAFE_CHARACTERS", "remove them"},
		{"noncharacters", with("id", `"a\ufffe"`, "subject", `"\ufdd0"`), "id UNSAFE_CHARACTERS|subject UNSAFE_CHARACTERS", "remove them"},
		{"a source that is no URI reference", with("source", `"a b"`), "source UNSAFE_CHARACTERS", "RFC 3986"},
		{"a source with half an encoding", with("source", `"/a%2"`), "source UNSAFE_CHARACTERS", "RFC 3986"},
		{"a source with a colon at once", with("source", `":a"`), "source UNSAFE_CHARACTERS", "RFC 3986"},
		{"capitals in the name of an extension", with("myExtension", `"x"`), "myExtension UNSAFE_CHARACTERS", "lower-case letters and digits"},
		{"other names of extensions", with("my-ext", `1`, "my_ext", `1`, "é", `1`, "", `1`, "ID", `"x"`),
			" UNSAFE_CHARACTERS|ID UNSAFE_CHARACTERS|my-ext UNSAFE_CHARACTERS|my_ext UNSAFE_CHARACTERS|é UNSAFE_CHARACTERS", ""},
		{"an empty schema", with("dataschema", `""`), "dataschema MISSING", ""},
		{"no time", with("time", `"yesterday"`), "time UNSUPPORTED", "2026-11-21T10:00:00Z"},
		{"a lax time", with("time", `"2026-11-21T10:00:00,5Z"`), "time UNSUPPORTED", ""},
		{"no content type", with("datacontenttype", `"json"`), "datacontenttype UNSUPPORTED", "e.g. application/json"},
		{"no base64", with("data_base64", `"A"`), "data_base64 UNSUPPORTED", "RFC 4648"},
		{"base64 that is no string", with("data_base64", `[1]`), "data_base64 WRONG_JSON_TYPE", "send a string"},
		{"data twice", with("data", `1`, "data_base64", `"AA=="`), "data_base64 UNSUPPORTED", "send one of them"},
		{"a name twice", []byte(`{"specversion":"1.0","id":"a","source":"a","type":"x","id":"b","data":{"a":1,"\u0061":2}}`),
			"data.a DUPLICATE_NAME|id DUPLICATE_NAME", ""},
		{"a name twice, deep", with("data", `{"l":[{"a":1,"a":2}],"o":{"p":{"q":1,"q":1}}}`),
			"data.l.a DUPLICATE_NAME|data.o.p.q DUPLICATE_NAME", ""},
		{"too deep", with("data", strings.Repeat(`{"a":`, 16)+"1"+strings.Repeat("}", 16)), "data" + strings.Repeat(".a", 15) + " TOO_DEEP",
			"16 levels"},
		{"a bomb", with("data", strings.Repeat("[", 100_000)), "data TOO_DEEP", ""},
		{"many attributes", []byte("{" + numbered(101, `"v%d":1`) + "}"), " TOO_MANY", ""},
		{"an external key that is a number", with("data", `{"external_key":7}`), "data.external_key WRONG_JSON_TYPE", ""},
		{"an external key with controls", with("data", `{"external_key":"a\r\nb"}`), "data.external_key UNSAFE_CHARACTERS", "remove"},
		{"a long external key", with("data", `{"external_key":"`+long+`"}`), "data.external_key TOO_LONG", "1024"},
		{"custom fields that are no object", with("data", `{"custom_fields":[]}`), "data.custom_fields WRONG_JSON_TYPE", ""},
		{"bad custom fields", with("data", `{"custom_fields":{"Bad":"x","nested":{"a":1},"ctl":"\u0085","long":"`+long+`"}}`),
			"data.custom_fields.Bad UNSAFE_CHARACTERS|data.custom_fields.ctl UNSAFE_CHARACTERS|data.custom_fields.long " +
				"TOO_LONG|data.custom_fields.nested WRONG_JSON_TYPE", ""},
		{"many custom fields", with("data", `{"custom_fields":{`+numbered(31, `"c%d":1`)+`}}`), "data.custom_fields TOO_MANY", "the limit is 30"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, violations := event.Decode(c.raw)
			if e == nil {
				t.Fatal("no event for the record")
			}
			if got := faults(violations); got != sortFaults(c.want) {
				t.Errorf("got  %s\nwant %s\n%v", got, c.want, violations)
			}
			if !strings.Contains(violations.Error(), c.remedy) {
				t.Errorf("%q does not say %q", violations.Error(), c.remedy)
			}
		})
	}
}

func faults(vs event.Violations) string {
	parts := make([]string, len(vs))
	for i, v := range vs {
		parts[i] = v.Field + " " + v.Reason
	}
	return sortFaults(strings.Join(parts, "|"))
}

func TestDecodeListsManyFaultsWithoutEnd(t *testing.T) {
	_, violations := event.Decode(with("data", `{"custom_fields":{`+numbered(500, `"C%d":1`)+"}}"))
	if len(violations) != 51 || violations[50].Reason != event.ReasonTooMany {
		t.Errorf("%d violations, last %v", len(violations), violations[len(violations)-1])
	}
}

func TestDecodeKeepsWhatIsSoundForTheRecord(t *testing.T) {
	e, violations := event.Decode(with("id", `"bad\tid"`, "subject", `"s1"`, "data", `{"external_key":"K"}`))
	if len(violations) != 1 || e.ID != "" || e.Appliance != "a-1" || e.Session != "s1" || e.ExternalKey != "K" {
		t.Errorf("%+v %v", e, violations)
	}
}

func TestWithTimeWritesTheTimeIntoRaw(t *testing.T) {
	now := time.Date(2026, 11, 21, 11, 0, 0, 123456789, time.FixedZone("", 3600))
	for _, raw := range []string{
		`  { "specversion":"1.0","id":"e","source":"a","type":"x"}`,
		`{"specversion":"1.0","time" : null ,"id":"e","source":"a","type":"x"}`,
	} {
		e, violations := event.Decode([]byte(raw))
		if violations != nil || !e.Time.IsZero() {
			t.Fatal(violations, e.Time)
		}
		dated := e.WithTime(now)
		again, violations := event.Decode(dated.Raw)
		if violations != nil {
			t.Fatalf("%v in %s", violations, dated.Raw)
		}
		if want := "2026-11-21T10:00:00.123Z"; !strings.Contains(string(dated.Raw), want) || !again.Time.Equal(dated.Time) {
			t.Errorf("%s, %v", dated.Raw, again.Time)
		}
		if dated.WithTime(now.Add(time.Hour)) != dated || !e.Time.IsZero() {
			t.Error("a time was changed")
		}
	}
}

func TestCheck(t *testing.T) {
	now := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	known := func(id string) bool { return id != "unknown" && !strings.HasSuffix(id, "begn") }
	for _, c := range []struct {
		name, typeID string
		at           time.Time
		want, remedy string
	}{
		{"fine", "support_conference_end", now, "", ""},
		{"as old as may be", "x", now.Add(-event.MaxAge), "", ""},
		{"too old", "x", now.Add(-event.MaxAge - time.Second), "time TIME_OUT_OF_RANGE", "clock"},
		{"in the future", "x", now.Add(event.MaxAhead + time.Second), "time TIME_OUT_OF_RANGE", "in the future"},
		{"no time", "x", time.Time{}, "", ""},
		{"unknown", "unknown", now, "type UNKNOWN_TYPE", "see the event types"},
		{"misspelt", "support_conference_begn", now, "type UNKNOWN_TYPE", "did you mean support_conference_begin?"},
	} {
		t.Run(c.name, func(t *testing.T) {
			violations := (&event.Event{Type: c.typeID, Time: c.at}).Check(now, known)
			if faults(violations) != c.want || !strings.Contains(violations.Error(), c.remedy) {
				t.Error(violations)
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(good))
	f.Add(with("data", `{"a":"\ud83d\ude00","b":[1,{"c":-0.1e+9}]}`))
	f.Add([]byte("{\"\xff\":nul"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		e, violations := event.Decode(raw)
		if len(violations) == 0 {
			if !json.Valid(raw) {
				t.Fatal("accepted what is not JSON")
			}
			if again, v := event.Decode(e.WithTime(time.Unix(1, 0)).Raw); v != nil || again.Time.IsZero() {
				t.Fatalf("dated event: %v", v)
			}
		}
		for _, v := range violations {
			if v.Reason == event.ReasonMalformed && json.Valid(raw) {
				t.Fatalf("refused JSON as malformed: %v", v)
			}
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	raw := []byte(good[:len(good)-2] + `,"filler":"` + strings.Repeat("x", 1024-len(good)) + `"}}`)
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		if _, v := event.Decode(raw); v != nil {
			b.Fatal(v)
		}
	}
}
