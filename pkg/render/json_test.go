package render_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/golden"
	"github.com/outbound-events/outbound/pkg/render"
)

func TestJSONCutsCustomFieldsAndNothingElse(t *testing.T) {
	for name, custom := range map[string][]string{"json_some.json": {"branch", "region"}, "json_none.json": nil} {
		got, err := render.JSON(joined(), custom)
		if err != nil {
			t.Fatal(err)
		}
		if !json.Valid(got) {
			t.Errorf("%s is not JSON: %s", name, got)
		}
		golden.Check(t, name, got)
	}
}

func TestJSONIsTheStoredEventWhenAllFieldsMayBeSent(t *testing.T) {
	e := joined()
	got, err := render.JSON(e, []string{"branch", "region", "secret"})
	if err != nil {
		t.Fatal(err)
	}
	if &got[0] != &e.Raw[0] {
		t.Error("the event was copied although nothing is cut")
	}
}

func TestJSONCutsHiddenRepeatsOfAMember(t *testing.T) {
	e := &event.Event{
		Custom: []event.Variable{{Name: "secret", Value: "2"}},
		Raw:    []byte(`{"data":{"custom_fields":{"secret":1}},"data":{"custom_fields":{"secret":2},"custom_fields":["secret"]}}`),
	}
	got, err := render.JSON(e, nil)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"data":{"custom_fields":{}},"data":{"custom_fields":{},"custom_fields":{}}}`
	if string(got) != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestJSONRefusesWhatIsNotJSON(t *testing.T) {
	whole := `{"data":{"custom_fields":{"secret":"x\\"","y":[{"z":1}]}}}`
	for n := range len(whole) {
		e := &event.Event{Custom: []event.Variable{{Name: "secret"}}, Raw: []byte(whole[:n])}
		if got, err := render.JSON(e, []string{"y"}); err == nil && json.Valid(got) {
			t.Errorf("cut at %d: got %s, want an error", n, got)
		}
	}
}

// FuzzJSONCutsAsTheStandardLibraryReads holds the cut against what encoding/json reads.
func FuzzJSONCutsAsTheStandardLibraryReads(f *testing.F) {
	for _, s := range []string{
		string(joined().Raw), `{}`, `[]`, `{"data":null}`, `{"data":{"custom_fields":7}}`,
		`{"d\u0061ta":{"custom_fields":{"s":[{"a":"}"}],"region":-1e5}}}`,
		`{"data":[{"custom_fields":{"s":1}}],"data":{"a\\":"\"","custom_fields":{"region":{"x":"]"},"region":2}}}`,
		` { "data" : { "custom_fields" : { } } } `,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		var want map[string]any
		if json.Unmarshal([]byte(raw), &want) != nil {
			t.Skip("not a JSON object")
		}
		if data, ok := want["data"].(map[string]any); ok {
			if _, ok := data["custom_fields"]; ok {
				data["custom_fields"] = onlyRegion(data["custom_fields"])
			}
		}
		cut, err := render.JSON(&event.Event{Custom: []event.Variable{{Name: "s"}}, Raw: []byte(raw)}, []string{"region"})
		if err != nil {
			t.Fatalf("cut %q: %v", raw, err)
		}
		var got map[string]any
		if err := json.Unmarshal(cut, &got); err != nil {
			t.Fatalf("%q became %q: %v", raw, cut, err)
		}
		if want == nil && got == nil {
			return
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q became %q\n%s", raw, cut, diff)
		}
	})
}

func onlyRegion(fields any) map[string]any {
	all, _ := fields.(map[string]any)
	if region, ok := all["region"]; ok {
		return map[string]any{"region": region}
	}
	return map[string]any{}
}

func BenchmarkJSONCut(b *testing.B) {
	e := joined()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := render.JSON(e, []string{"region"}); err != nil {
			b.Fatal(err)
		}
	}
}
