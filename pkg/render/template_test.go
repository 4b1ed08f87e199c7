package render_test

import (
	"bytes"
	"strings"
	"sync"
	"testing"

	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/golden"
	"github.com/outbound-events/outbound/pkg/render"
)

const templated = `{"specversion":"1.0","id":"e-1","source":"appliance-1","type":"support_conference_end","time":"2026-11-21T12:00:00.5+02:00",
"subject":"0a1b","data":{"external_key":"INC-1","custom_fields":{"region":"emea","salary":1},"duration":1260,"note":"say \"hi\" & <go>",
"customer":{"name":"Zoë"},"answers":[{"q":1}]}}`

func rendered(t testing.TB, text, raw string, custom ...string) (string, error) {
	t.Helper()
	b, err := render.NewBodyTemplate(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	got, err := b.Render(decoded(t, raw), custom)
	return string(got), err
}

func TestBodyTemplates(t *testing.T) {
	for text, want := range map[string]string{
		`plain`: "plain",
		`{{.Event.Type}} {{.Event.Key}} {{.Event.ID}} {{.Event.Appliance}} {{.Event.Session}} {{.Event.ExternalKey}}`: "support_conference_end appliance-1~e-1 e-1 appliance-1 0a1b INC-1",
		`{{.Event.Time}} {{.Event.Timestamp}}`:                                  "2026-11-21T10:00:00.5Z 1795255200",
		`{{date "02.01.2006 15:04" .Event.Time}}`:                               "21.11.2026 10:00",
		`{{.Vars.duration}} {{index .Vars "customer.name"}} {{.Vars.missing}}.`: "1260 Zoë .",
		`{{json .Vars.note}}`:                                                   `"say \"hi\" & <go>"`,
		`{{.Vars.note | json}}`:                                                 `"say \"hi\" & <go>"`,
		`{{json .Custom}}`:                                                      `{"region":"emea"}`,
		`{{json .Vars}}`:                                                        `{"answers":"[{\"q\":1}]","customer.name":"Zoë","duration":"1260","note":"say \"hi\" & <go>"}`,
		`{{json .Event}}`:                                                       `{"Key":"appliance-1~e-1","ID":"e-1","Type":"support_conference_end","Appliance":"appliance-1","Session":"0a1b","ExternalKey":"INC-1","Time":"2026-11-21T10:00:00.5Z","Timestamp":1795255200}`,
		`{{urlquery .Vars.note}}`:                                               `say+%22hi%22+%26+%3Cgo%3E`,
		`{{upper .Custom.region}}{{lower "ABC"}}`:                               "EMEAabc",
		`{{default "none" .Vars.missing}} {{.Vars.duration | default "none"}}`:                      "none 1260",
		`{{.Custom.salary}}{{default "-" .Custom.salary}}`:                                          "-",
		`{{range $k, $v := .Vars}}{{$k}}={{$v}};{{end}}`:                                            `answers=[{"q":1}];customer.name=Zoë;duration=1260;note=say "hi" & <go>;`,
		`{{range .Custom}}{{range $.Custom}}x{{end}}{{else}}none{{end}}`:                            "x",
		`{{range .Custom}}{{break}}{{end}}{{with .Vars.none}}a{{else}}b{{end}}`:                     "b",
		`{{if and (eq .Event.Type "support_conference_end") (not .Vars.x)}}end{{else}}other{{end}}`: "end",
	} {
		got, err := rendered(t, text, templated, "region")
		if err != nil || got != want {
			t.Errorf("%s\n got %s (%v)\nwant %s", text, got, err, want)
		}
	}
}

func TestAChatMessage(t *testing.T) {
	got, err := rendered(t, `{
  "text": {{json .Event.Type}},
  "blocks": [{{range $name, $value := .Vars}}
    {"name": {{json $name}}, "value": {{json $value}}},{{end}}
    {"name": "when", "value": {{date "Mon, 02 Jan 2006 15:04:05 MST" .Event.Time | json}}}
  ]
}
`, templated)
	if err != nil {
		t.Fatal(err)
	}
	golden.Check(t, "template_chat.json", []byte(got))
}

func TestRefusedTemplates(t *testing.T) {
	for text, want := range map[string]string{
		``:                                    "renders an empty body",
		" \n":                                 "renders an empty body",
		`{{`:                                  "body:1: ",
		"a\n{{.Event.Type":                    "body:2: unclosed action",
		`{{nothing .Event}}`:                  `function "nothing" not defined`,
		`{{printf "%09999999d" 1}}`:           "body:1:2: the function printf is not supported: use cut, date, default, header, json",
		`{{print 1}}`:                         "print is not supported",
		`{{call .Event}}`:                     "call is not supported",
		`{{if true}}{{html "x"}}{{end}}`:      "html is not supported",
		`{{range .Vars}}{{step 1}}{{end}}`:    "step is not supported",
		`{{template "body" .}}`:               "template is not supported",
		`{{define "a"}}x{{end}}b`:             "define and block are not supported",
		`{{block "a" .}}x{{end}}`:             "define and block are not supported",
		`{{with $x := slice "abc" 1}}{{end}}`: "slice is not supported",
	} {
		_, err := render.NewBodyTemplate(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}

func TestTemplatesThatFailOrGoTooFar(t *testing.T) {
	big := `{"specversion":"1.0","id":"e-1","source":"a-1","type":"own","time":"2026-11-21T10:00:00Z","data":{"big":"` +
		strings.Repeat(`\"`, 60_000) + `"}}`
	for text, want := range map[string]string{
		`{{.Event.Name}}`:                                                              "can't evaluate field Name",
		`{{.Vars.customer.name}}`:                                                      "can't evaluate field name",
		`{{.Event.Time.Unix}}`:                                                         "can't evaluate field Unix",
		`{{date "2006" .Event.ID}}`:                                                    "the value is not an RFC 3339 time",
		`{{range .Event.ID}}{{end}}`:                                                   "range can't iterate over this value",
		`{{upper .Event.Timestamp}}`:                                                   "wrong type",
		`{{range $i := .Event.Timestamp}}{{end}}`:                                      "execution limit",
		`{{range 100000}}{{range 100000}}{{end}}{{end}}`:                               "execution limit",
		`{{range 200000}}x{{end}}`:                                                     "execution limit",
		`{{$x := .Vars.big}}{{range 30}}{{$x = json $x}}{{end}}`:                       "execution limit",
		`{{.Vars.big}}{{.Vars.big}}{{.Vars.big}}{{.Vars.big}}{{.Vars.big}}`:            "longer than 256 KiB",
		`{{range 60}}{{range $.Vars}}{{end}}{{end}}{{range 70}}{{json $.Vars}}{{end}}`: "",
	} {
		got, err := rendered(t, text, big)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
		if len(got) > render.MaxTemplated {
			t.Errorf("%s: rendered %d bytes", text, len(got))
		}
	}
}

func TestTheSameEventGivesTheSameBody(t *testing.T) {
	b, err := render.NewBodyTemplate(`{{range $k, $v := .Vars}}{{$k}}={{json $v}}{{end}}{{json .Custom}}`)
	if err != nil {
		t.Fatal(err)
	}
	want, err := b.Render(decoded(t, templated), []string{"region", "salary"})
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 50 {
				if got, err := b.Render(decoded(t, templated), []string{"region", "salary"}); err != nil || !bytes.Equal(got, want) {
					t.Errorf("got %s (%v), want %s", got, err, want)
				}
			}
		})
	}
	all.Wait()
}

func FuzzBodyTemplate(f *testing.F) {
	for _, s := range []string{`{{.Event.Type}}`, `{{range $k, $v := .Vars}}{{json $v}}{{end}}`,
		`{{$x := "a"}}{{range 9}}{{$x = json $x}}{{end}}{{$x}}`, `{{with .Custom}}{{else}}{{end}}`, `{{if eq 1 1.0}}{{break}}{{end}}`,
		`{{index .Vars "a" "b"}}`} {
		f.Add(s)
	}
	e := decoded(f, templated)
	f.Fuzz(func(t *testing.T, text string) {
		b, err := render.NewBodyTemplate(text)
		if err != nil {
			return
		}
		first, err := b.Render(e, nil)
		second, again := b.Render(e, nil)
		if !bytes.Equal(first, second) || (err == nil) != (again == nil) || len(first) > render.MaxTemplated {
			t.Errorf("rendered %q (%v), then %q (%v)", first, err, second, again)
		}
	})
}

func BenchmarkBodyTemplate(b *testing.B) {
	tmpl, err := render.NewBodyTemplate(`{"type":{{json .Event.Type}},"vars":{{json .Vars}},"region":{{json .Custom.region}}}`)
	if err != nil {
		b.Fatal(err)
	}
	e := event.Sample(event.Catalogue()[0], "appliance-1", "e-1", decoded(b, templated).Time, nil)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := tmpl.Render(e, nil); err != nil {
			b.Fatal(err)
		}
	}
}
