package event_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/outbound-events/outbound/pkg/event"
)

// encode writes an event from what was decoded of it, with its variables flat.
func encode(t *testing.T, e *event.Event) []byte {
	t.Helper()
	data, custom := make(map[string]any), make(map[string]string)
	for _, v := range e.Variables {
		data[v.Name] = v.Value
	}
	for _, v := range e.Custom {
		custom[v.Name] = v.Value
	}
	data["custom_fields"], data["external_key"] = custom, e.ExternalKey
	attributes := map[string]any{"specversion": "1.0", "id": e.ID, "source": e.Appliance, "type": e.SentType, "subject": e.Session,
		"data": data}
	if !e.Time.IsZero() {
		attributes["time"] = e.Time.Format(time.RFC3339Nano)
	}
	raw, err := json.Marshal(attributes)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// same compares two events, but for the text they were read from.
func same(a, b *event.Event) string {
	left, right := *a, *b
	left.Raw, right.Raw = nil, nil
	left.Time, right.Time = left.Time.UTC(), right.Time.UTC()
	for _, e := range []*event.Event{&left, &right} {
		e.Variables, e.Custom = slices.Concat(e.Variables), slices.Concat(e.Custom)
	}
	return cmp.Diff(left, right)
}

// flattened is what encoding/json makes of an object: another way to the same variables.
func flattened(t *testing.T, prefix string, object map[string]json.RawMessage) map[string]string {
	t.Helper()
	out := make(map[string]string)
	for name, raw := range object {
		var members map[string]json.RawMessage
		var text string
		switch raw = bytes.TrimSpace(raw); {
		case raw[0] == '{':
			if err := json.Unmarshal(raw, &members); err != nil {
				t.Fatal(err)
			}
			maps.Copy(out, flattened(t, prefix+name+".", members))
			if len(members) > 0 {
				continue
			}
		case raw[0] == '[':
			var b bytes.Buffer
			if err := json.Compact(&b, raw); err != nil {
				t.Fatal(err)
			}
			text = b.String()
		case raw[0] == '"':
			if err := json.Unmarshal(raw, &text); err != nil {
				t.Fatal(err)
			}
		case string(raw) != "null":
			text = string(raw)
		}
		out[prefix+name] = text
	}
	return out
}

func seeds(f *testing.F) {
	f.Add([]byte(good))
	for _, raw := range [][]byte{
		with(), with("time", "null", "data", "null"), with("time", `"2026-11-21T10:00:00.5+02:00"`, "subject", `"s"`),
		with("data", `{"a":{"b":{},"c":[ 1, "\" ]" ]},"d":1.50,"e":"\ud83d\ude00\u2028<&>","":1}`),
		with("data", `{"custom_fields":{"a":true,"b":null,"c":1e5},"external_key":"é"}`), with("data", `{"a.b":1,"a":{"b":2}}`),
		with("x", `{"time":1}`), []byte(` {"\u0074ime":null,"specversion":"1.0","id":"e","source":"a","type":"x"} `), []byte("{\"\xff\":nul"),
		with("time", `"0001-01-01T00:00:00Z"`), []byte(`{"id":"e`), []byte("[[[["), []byte(`"`), []byte(`{"a":"\`), []byte(`{"a":"\ud800\u`),
	} {
		f.Add(raw)
	}
}

// What is accepted can be written again from its parts and is read as the same event.
func FuzzAnAcceptedEventIsReadAgain(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		e, violations := event.Decode(raw)
		if violations != nil {
			t.Skip("refused")
		}
		again, violations := event.Decode(encode(t, e))
		if violations != nil {
			t.Fatalf("refused when it is written again: %v", violations)
		}
		if diff := same(e, again); diff != "" {
			t.Error(diff)
		}
	})
}

// The variables of an accepted event are what encoding/json reads, and they are sorted.
func FuzzVariablesAreThoseOfEncodingJSON(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		e, violations := event.Decode(raw)
		if violations != nil {
			t.Skip("refused")
		}
		var attributes map[string]json.RawMessage
		if err := json.Unmarshal(raw, &attributes); err != nil {
			t.Fatal(err)
		}
		var data map[string]json.RawMessage
		if attributes["data"] != nil && json.Unmarshal(attributes["data"], &data) != nil ||
			len(e.Variables) == 1 && e.Variables[0].Name == "data" {
			t.Skip("the data is one variable")
		}
		for name, value := range data {
			if event.Reserved(name) {
				delete(data, name)
				data["data."+name] = value
			}
		}
		delete(data, "external_key")
		delete(data, "custom_fields")
		got := make(map[string]string)
		for _, v := range e.Variables {
			got[v.Name] = v.Value
		}
		if diff := cmp.Diff(flattened(t, "", data), got); diff != "" || len(got) != len(e.Variables) {
			t.Error(diff)
		}
		for _, vs := range [][]event.Variable{e.Variables, e.Custom} {
			if !slices.IsSortedFunc(vs, func(a, b event.Variable) int { return strings.Compare(a.Name, b.Name) }) {
				t.Errorf("not sorted: %v", vs)
			}
		}
	})
}

// A refusal says why, in a form that can be stored, and an event never holds an attribute that is unsafe in subjects.
func FuzzARefusalCanBeRecorded(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		e, violations := event.Decode(raw)
		if e == nil || !bytes.Equal(e.Raw, raw) {
			t.Fatal("the event does not hold what was sent")
		}
		if e.ID != "" && !event.ValidToken(e.ID) || e.Appliance != "" && !event.ValidAppliance(e.Appliance) ||
			e.Type != "" && !event.ValidType(e.Type) {
			t.Errorf("unsafe: %+v", e)
		}
		if len(violations) > 51 {
			t.Errorf("%d violations", len(violations))
		}
		stored, err := json.Marshal(violations)
		if err != nil {
			t.Fatal(err)
		}
		var back event.Violations
		if err := json.Unmarshal(stored, &back); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(violations, back); diff != "" {
			t.Error(diff)
		}
	})
}

// A time that is added changes nothing else.
func FuzzWithTimeAddsTheTimeAlone(f *testing.F) {
	seeds(f)
	now := time.Date(2026, 11, 21, 10, 0, 0, 987_654_321, time.UTC)
	f.Fuzz(func(t *testing.T, raw []byte) {
		e, violations := event.Decode(raw)
		if violations != nil {
			t.Skip("refused")
		}
		before := bytes.Clone(raw)
		dated := e.WithTime(now)
		if !bytes.Equal(e.Raw, before) {
			t.Fatal("the bytes of the event were changed")
		}
		if !e.Time.IsZero() {
			if dated != e {
				t.Fatal("an event with a time was changed")
			}
			return
		}
		again, violations := event.Decode(dated.Raw)
		if violations != nil {
			t.Fatalf("%s: %v", dated.Raw, violations)
		}
		want := *e
		want.Time = now.Truncate(time.Millisecond)
		if diff := same(&want, again) + same(&want, dated); diff != "" {
			t.Error(diff)
		}
	})
}

// A repeated event is the same event, however it is written.
func TestARepeatedEventIsEqual(t *testing.T) {
	first := mustDecode(t, []byte(`{"specversion":"1.0","id":"e-1","source":"a-1","type":"x_y","time":"2026-11-21T10:00:00Z",
		"data":{"external_key":"K","custom_fields":{"a":1,"b":"2"},"o":{"x":1,"y":[1,2]},"z":"é"}}`))
	for name, raw := range map[string]string{
		"to the byte": string(first.Raw),
		"in another order": `{"data":{"z":"é","o":{"y":[1,2],"x":1},"custom_fields":{"b":"2","a":1},"external_key":"K"},
			"time":"2026-11-21T10:00:00Z","type":"x_y","source":"a-1","id":"e-1","specversion":"1.0"}`,
		"with escapes": `{"specversion":"1.0","id":"e-1","source":"a-1","type":"x_y","time":"2026-11-21T10:00:00Z",
			"data":{"external_key":"\u004b","custom_fields":{"a":1,"b":"\u0032"},"o":{"x":1,"y":[ 1,2 ]},"\u007a":"\u00e9"}}`,
		"with texts for numbers": `{"specversion":"1.0","id":"e-1","source":"a-1","type":"x_y","time":"2026-11-21T10:00:00Z",
			"data":{"external_key":"K","custom_fields":{"a":"1","b":2},"o":{"x":"1","y":"[1,2]"},"z":"é"}}`,
		"in another zone": `{"specversion":"1.0","id":"e-1","source":"a-1","type":"x_y","time":"2026-11-21T12:00:00+02:00",
			"data":{"external_key":"K","custom_fields":{"a":1,"b":"2"},"o":{"x":1,"y":[1,2]},"z":"é"}}`,
		"flat": `{"specversion":"1.0","id":"e-1","source":"a-1","type":"x_y","time":"2026-11-21T10:00:00Z",
			"data":{"external_key":"K","custom_fields":{"a":1,"b":"2"},"o.x":1,"o.y":[1,2],"z":"é"}}`,
	} {
		again := mustDecode(t, []byte(raw))
		if diff := same(first, again); diff != "" || again.Key() != first.Key() {
			t.Errorf("%s: %s", name, diff)
		}
	}
	for name, raw := range map[string][]byte{
		"another id": with("id", `"e-2"`, "source", `"a-1"`), "another appliance": with("id", `"e-1"`, "source", `"a-2"`),
	} {
		if mustDecode(t, raw).Key() == first.Key() {
			t.Errorf("%s has the same key", name)
		}
	}
}
