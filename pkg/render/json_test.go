package render_test

import (
	"encoding/json"
	"testing"

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
	e := &event.Event{Custom: []event.Variable{{Name: "secret"}}, Raw: []byte(`{"data":{"custom_fields":{"secret":`)}
	if got, err := render.JSON(e, nil); err == nil {
		t.Errorf("got %s, want an error", got)
	}
}
