package browser

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/outbound-events/outbound/e2e/harness"
)

// Axe is axe-core, which finds what shuts people out who cannot see, or use a mouse.
type Axe struct{ source string }

// NewAxe reads axe-core as npm has installed it.
func NewAxe(t harness.T) *Axe {
	t.Helper()
	root, err := harness.Root()
	if err != nil {
		t.Fatalf("%v", err)
	}
	file := filepath.Join(root, "e2e", "browser", "axe", "node_modules", "axe-core", "axe.min.js")
	source, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("read axe-core: %v; `make axe` installs it", err)
	}
	return &Axe{source: string(source)}
}

// Violation is something that axe-core found.
type Violation struct {
	// ID of the rule and its impact: minor, moderate, serious or critical.
	ID, Impact, Help string
	// Where are the elements.
	Where []string
}

// Grave reports whether people are shut out.
func (v Violation) Grave() bool { return v.Impact == "serious" || v.Impact == "critical" }

// String is the violation in a line.
func (v Violation) String() string {
	return fmt.Sprintf("%s: %s (%s): %s", v.Impact, v.Help, v.ID, strings.Join(v.Where, " ¦ "))
}

// axeRun gives the violations as Violation has them. Colours are all that light and dark differ in.
const axeRun = `axe.run(document, Object.assign({resultTypes: ['violations']}, COLOURS ? {runOnly: ['cat.color']} : {})).then((r) =>
  r.violations.map((v) => ({ID: v.id, Impact: v.impact, Help: v.help, Where: v.nodes.slice(0, 4).map((n) => n.html.slice(0, 300) + ' ' +
  (n.any[0] ? n.any[0].message : ''))})))`

// Violations are what axe-core finds on the page as it is now; of the colours alone if so asked. How many rules it held the page
// against must be told by the caller's own checks: a page without elements has no faults.
func (p *Page) Violations(a *Axe, colours bool) []Violation {
	p.t.Helper()
	if err := p.holds("globalThis.axe !== undefined"); err != nil {
		p.Do(a.source + ";undefined")
	}
	found, err := read[[]Violation](p, strings.ReplaceAll(axeRun, "COLOURS", fmt.Sprint(colours)))
	if err != nil {
		p.t.Fatalf("run axe-core: %v", err)
	}
	return found
}

// Breaches are what must not be on any page, whatever events, receivers and people have written.
func (p *Page) Breaches() []string {
	p.t.Helper()
	out, err := read[[]string](p, "eyes.breaches()")
	if err != nil {
		p.t.Fatalf("read the page: %v", err)
	}
	return out
}

// Fonts are the tables whose cells name their columns in different fonts, as cards on a narrow page do.
func (p *Page) Fonts() []string {
	p.t.Helper()
	out, err := read[[]string](p, "eyes.fonts()")
	if err != nil {
		p.t.Fatalf("read the page: %v", err)
	}
	return out
}

// Overflow is by how many pixels the page is wider than its window.
func (p *Page) Overflow() int {
	p.t.Helper()
	return p.Number("Math.max(0, document.scrollingElement.scrollWidth - document.documentElement.clientWidth)")
}
