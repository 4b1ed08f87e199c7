package render_test

import (
	"strings"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/render"
)

func TestFunctionsOfTexts(t *testing.T) {
	e := &event.Event{ID: "e-1", Appliance: "a1", Type: "t", ExternalKey: `é"日本` + "\n", Time: time.Now(),
		Variables: []event.Variable{{Name: "b", Value: "2"}, {Name: "a", Value: "<1>"}}}
	long := *e
	long.ExternalKey = strings.Repeat("&", 100_000)
	for text, want := range map[string]string{
		`{{cut 3 .Event.ExternalKey}}`:      `é"…`,
		`{{cut 5 .Event.ExternalKey}}`:      `é"日本` + "\n",
		`"{{jsontext .Event.ExternalKey}}"`: `"é\"日本\n"`,
		`{{lines .Vars}}`:                   "a: <1>\nb: 2",
		`{{.Vars.a | replace "<" "&lt;"}}`:  "&lt;1>",
		`{{header "x-key"}}`:                "s3cret",
		`{{cut 0 "x"}}`:                     "! can't be cut to 0",
		`{{replace "" "x" .Vars.a}}`:        "! empty text",
		`{{header "X-Other"}}`:              "! no custom header X-Other",
	} {
		b, err := render.NewBodyTemplate(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		got, err := b.With(map[string]string{"X-Key": "s3cret"}).Render(e, nil)
		if fault, wrong := strings.CutPrefix(want, "! "); wrong != (err != nil) || wrong && !strings.Contains(err.Error(), fault) ||
			!wrong && string(got) != want {
			t.Errorf("%s: %q and %v, want %q", text, got, err, want)
		}
	}
	b, err := render.NewBodyTemplate(`{{replace "&" "` + strings.Repeat("x", 10_000) + `" .Event.ExternalKey}}`)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := b.Render(&long, nil); err == nil {
		t.Errorf("%d bytes are rendered", len(out))
	}
}

func TestASecretInABodyIsHiddenInPreviews(t *testing.T) {
	r := &recipient.Recipient{ID: "r", HTTP: &recipient.HTTPTarget{URL: "https://x.example/", BodyContentType: "application/json",
		BodyTemplate: `{"key": {{json (header "X-Routing-Key")}}}`, Headers: map[string]string{"X-Routing-Key": "s3cret"}}}
	e := &event.Event{ID: "e-1", Appliance: "a1", Type: "t", Time: time.Now()}
	p, err := render.PreviewHTTP(r, e, render.PreviewOptions{At: time.Now()})
	if err != nil || string(p.Body) != `{"key": "[redacted]"}` {
		t.Errorf("the preview has %s (%v)", p.Body, err)
	}
}
