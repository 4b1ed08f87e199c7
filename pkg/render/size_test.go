package render_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/render"
)

// numbered repeats a text until it has so many bytes, with a number in the place of #.
func numbered(text string, size int) string {
	var b strings.Builder
	for i := 0; b.Len()+len(text)+8 < size; i++ {
		b.WriteString(strings.ReplaceAll(text, "#", strconv.Itoa(i)))
	}
	return b.String()
}

// growing is a text that grows, in one of the forms that are read.
type growing struct {
	name string
	of   func(size int) string
	read func(text string)
}

func growingTexts() []growing {
	known := render.KnownMacros(event.Catalogue(), nil)
	body := func(text string) { _, _ = render.NewBodyTemplate(text) }
	html := func(text string) { _, _ = render.NewHTMLBody(text) }
	macros := func(text string) { _ = render.CheckMacros(text, known) }
	nested := func(begin, inside, end string) func(int) string {
		return func(size int) string {
			n := (size - len(inside)) / (len(begin) + len(end))
			return strings.Repeat(begin, n) + inside + strings.Repeat(end, n)
		}
	}
	repeated := func(text string) func(int) string { return func(size int) string { return numbered(text, size) } }
	return []growing{
		{"actions", repeated("{{.Event.ID}}\n"), body},
		{"functions", repeated("{{upper (lower .Event.ID)}}"), body},
		{"unknown functions", repeated("{{printf .Event.ID}}"), body},
		{"conditions", repeated("{{if .Event.ID}}a{{else}}b{{end}}\n"), body},
		{"nested conditions", nested("{{if 1}}", "x", "{{end}}"), body},
		{"loops", repeated("{{range .Vars}}a{{end}}\n"), body},
		{"nested loops", nested("{{range .Vars}}", "x", "{{end}}"), body},
		{"brackets", nested("(", ".Event.ID", ")"), func(text string) { body("{{" + text + "}}") }},
		{"one long pipe", repeated("|upper "), func(text string) { body("{{.Event.ID " + text + "}}") }},
		{"literal text", repeated("xxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n"), body},
		{"unknown macros", repeated("%UNKNOWN_#% "), macros},
		{"percent signs", repeated("%a"), macros},
		{"words that end nowhere", repeated("%aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa "), macros},
		{"rows", repeated("<tr><td>%EVENT_#%</td></tr>\n"), html},
		{"elements", repeated("<p>%EVENT%</p>\n"), html},
		{"attributes", repeated(" a#='%EVENT%'"), func(text string) { html("<p " + text + ">x</p>") }},
		{"links", repeated("<a href='https://x/?%EVENT%'>x</a>"), html},
		{"nested elements", nested("<div>", "x", "</div>"), html},
		{"comments", repeated("<!-- %EVENT% -->"), html},
		{"open tags", repeated("<a "), html},
		{"open comments", repeated("<!--"), html},
		{"styles", repeated("<style>p{color:%EVENT%}</style>"), html},
		{"open rows", repeated("<tr>%EVENT%"), html},
	}
}

// Reading a text takes a time in proportion to its size, whatever is in it: four times as much takes about four times as long, where a
// walk in a walk takes sixteen times.
func TestTextsAreReadInATimeInProportionToTheirSize(t *testing.T) {
	fastest := func(s growing, size int) time.Duration {
		text, best := s.of(size), time.Hour
		for range 5 {
			began := time.Now()
			s.read(text)
			best = min(best, time.Since(began))
		}
		return best
	}
	for _, s := range growingTexts() {
		t.Run(s.name, func(t *testing.T) {
			ratio := 0.0
			for range 4 { // a busy machine may slow one of the two
				small, large := fastest(s, 15<<10), fastest(s, 60<<10)
				ratio = float64(large) / float64(max(small, 100*time.Microsecond))
				t.Logf("15 KiB %s, 60 KiB %s", small, large)
				if ratio < 9 || large < 25*time.Millisecond {
					return
				}
			}
			t.Errorf("four times the text took %.1f times as long", ratio)
		})
	}
}

func TestATextThatIsTooLongIsNotRead(t *testing.T) {
	for name, read := range map[string]func(string) error{
		"the limit is 65536":  func(s string) error { _, err := render.NewBodyTemplate(s); return err },
		"the limit is 131072": func(s string) error { _, err := render.NewHTMLBody(s); return err },
	} {
		if err := read(strings.Repeat("{{", 1<<20)); err == nil || !strings.Contains(err.Error(), "has 2097152 bytes: "+name) {
			t.Errorf("%v", err)
		}
	}
}

func TestFewUnknownMacrosAreNamed(t *testing.T) {
	err := render.CheckMacros(numbered("%UNKNOWN_#% ", 60<<10), []string{"EVENT"})
	if err == nil || len(err.Error()) > 1000 || !strings.Contains(err.Error(), "UNKNOWN_9%") || !strings.Contains(err.Error(), "more; write") {
		t.Errorf("%v", err)
	}
}
