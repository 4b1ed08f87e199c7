package render_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/render"
)

// The template of docs/receivers.md renders JSON for every event type, and the functions it tells of are those there are.
func TestTheTemplateOfTheDocument(t *testing.T) {
	document, err := os.ReadFile("../../docs/receivers.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(document), "\n```template\n")
	text, rest, ok := strings.Cut(rest, "\n```")
	if !ok {
		t.Fatal("the document has no template")
	}
	b, err := render.NewBodyTemplate(text)
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range event.Catalogue() {
		e := event.Sample(kind, "appliance-1", "e-1", time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC), []string{"region"})
		body, err := b.Render(e, []string{"region"})
		if err != nil {
			t.Errorf("%s: %v", kind.ID, err)
			continue
		}
		var got struct {
			Text, Ticket, When, Region string
			Seconds                    *int
			All                        map[string]string
		}
		if err := json.Unmarshal(body, &got); err != nil {
			t.Errorf("%s: %v\n%s", kind.ID, err, body)
		}
		if got.Text != kind.ID || got.Ticket != "INC-1" || got.When != "21 Nov 2026 10:00" || got.Region != "sample" ||
			len(got.All) != len(e.Variables) {
			t.Errorf("%s: got %+v", kind.ID, got)
		}
	}
	section, _, _ := strings.Cut(rest, "\n## ")
	for _, name := range render.BodyFunctions() {
		if !strings.Contains(section, "`"+name+"`") && !strings.Contains(section, "`"+name+" ") {
			t.Errorf("the document does not tell of %s", name)
		}
	}
}
