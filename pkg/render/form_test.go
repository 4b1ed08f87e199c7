package render_test

import (
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/golden"
	"github.com/outbound-events/outbound/pkg/render"
)

// joined is an event with everything that makes encoding hard.
func joined() *event.Event {
	return &event.Event{
		ID: "e-1", Appliance: "appliance-1", Type: "support_conference_member_added",
		Time:    time.Date(2026, 11, 21, 10, 0, 0, 999_000_000, time.UTC),
		Session: "0123456789abcdef0123456789abcdef", ExternalKey: "INC 1 & 2=3+4",
		Custom: []event.Variable{{Name: "branch", Value: "Zürich"}, {Name: "region", Value: "emea"}, {Name: "secret", Value: "x"}},
		Variables: []event.Variable{
			{Name: "answers.1", Value: "100 % \"ok\"\r\n"}, {Name: "empty", Value: ""}, {Name: "name", Value: "Ada <日本> ~-_.*"},
		},
		Raw: []byte(`{"specversion":"1.0","id":"e-1","source":"appliance-1","type":"support_conference_member_added",` +
			`"time":"2026-11-21T10:00:00.999Z","subject":"0123456789abcdef0123456789abcdef","data":{"external_key":"INC 1 & 2=3+4", ` +
			`"size":12345678901234567890.10,"custom_fields" : {"secret":"x" ,"region": "emea","branch":"Z\u00fcrich"} ,"empty":""} }`),
	}
}

func TestFormIsStable(t *testing.T) {
	golden.Check(t, "form_custom.txt", render.Form(joined(), []string{"branch", "other", "region"}))
	golden.Check(t, "form_plain.txt", render.Form(joined(), nil))
}

func TestFormIsReadBackByTheStandardLibrary(t *testing.T) {
	custom := []string{"branch", "region"}
	got, err := url.ParseQuery(string(render.Form(joined(), custom)))
	if err != nil {
		t.Fatal(err)
	}
	want := url.Values{}
	for _, v := range render.FormVariables(joined(), custom) {
		want.Set(v.Name, v.Value)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-sent +read)\n%s", diff)
	}
}

func TestVariablesHaveOneOrder(t *testing.T) {
	var names []string
	for _, v := range render.FormVariables(joined(), []string{"branch", "region"}) {
		names = append(names, v.Name)
	}
	want := []string{"event", "version", "timestamp", "appliance_id", "lsid", "external_key", "answers.1", "empty", "name",
		"custom.branch", "custom.region"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestEmptyVariablesAreSentEmpty(t *testing.T) {
	e := &event.Event{ID: "e-1", Appliance: "a", Type: "support_conference_begin", Time: time.Unix(7, 0)}
	const want = "event=support_conference_begin&version=1&timestamp=7&appliance_id=a&lsid=&external_key="
	if got := string(render.Form(e, nil)); got != want {
		t.Errorf("form is\n%s\nwant\n%s", got, want)
	}
}

func FuzzFormEscapesAsTheStandardLibrary(f *testing.F) {
	f.Add("name", "a b+c%d&e=f\x00\xff日")
	f.Fuzz(func(t *testing.T, name, value string) {
		e := &event.Event{Type: "t", Time: time.Unix(0, 0), Variables: []event.Variable{{Name: name, Value: value}}}
		want := "event=t&version=1&timestamp=0&appliance_id=&lsid=&external_key=&" + url.QueryEscape(name) + "=" + url.QueryEscape(value)
		if got := string(render.Form(e, nil)); got != want {
			t.Errorf("form is %q, want %q", got, want)
		}
	})
}

func BenchmarkForm(b *testing.B) {
	e, custom := joined(), []string{"branch", "region"}
	b.ReportAllocs()
	for b.Loop() {
		render.Form(e, custom)
	}
}
