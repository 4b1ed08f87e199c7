package monitoring_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/outbound-events/outbound/tools/deploytest/metrics"
	"github.com/outbound-events/outbound/tools/deploytest/system"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

// scrapes is how often the system is scraped, step the scrape interval.
const (
	scrapes = 12
	step    = 15 * time.Second
)

// scraped is a database with the metrics of a system that has done everything that there are metrics of.
func scraped(t *testing.T) *database {
	t.Helper()
	s := &subject{system.Start(t, root), t}
	s.define()
	s.publish(0)
	s.Until("a delivery fails, another succeeds, a third waits", func() error {
		return lacks(string(s.Scrape()), `outbound_recipients{channel="http",health="failing"} 2`, `recipient="good",verdict="delivered"} 3`,
			`outbound_relay_up 0`, `recipient="gone",verdict="drop"} 3`, `outbound_unattempted_total{channel="http",reason="disabled"`, "outbound_processes{",
			`outbound_recipient_waiting{channel="email",recipient="mail"} 3`, "outbound_clock_offset_seconds", "outbound_disk_free_bytes")
	})
	db, err := metrics.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	d := &database{db, time.Now().Add(-scrapes * step)}
	for round := range scrapes {
		s.publish(round + 1)
		d.now = d.now.Add(step)
		if err := d.Add(s.Scrape(), d.now); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

// database has the time of the last scrape.
type database struct {
	*metrics.Database
	now time.Time
}

// evaluate evaluates an expression now and returns how many series it has.
func (d *database) evaluate(expr string) (int, error) {
	v, err := d.Instant(expr, d.now)
	return len(v), err
}

// lacking says which of some texts another lacks.
type lacking []string

// Error implements error.
func (l lacking) Error() string { return "metrics lack " + strings.Join(l, ", ") }

func lacks(text string, wanted ...string) error {
	var out lacking
	for _, want := range wanted {
		if !strings.Contains(text, want) {
			out = append(out, want)
		}
	}
	if out == nil {
		return nil
	}
	return out
}

// quiet are words in expressions that no metric has while all is well: for these an expression has no value.
var quiet = regexp.MustCompile(`"refused"|configuration_behind`)

func TestEveryPanelAndRuleEvaluatesOnARunningSystem(t *testing.T) {
	d := scraped(t)
	t.Run("dashboards", func(t *testing.T) { dashboards(t, d) })
	t.Run("rules", func(t *testing.T) { rules(t, d) })
	t.Run("a metric that is not there is found", func(t *testing.T) {
		if missing, err := d.Missing("sum(rate(outbound_no_such_total[5m])) > 0"); err != nil || len(missing) != 1 {
			t.Errorf("missing: %v, %v", missing, err)
		}
	})
}

func dashboards(t *testing.T, d *database) {
	files, err := filepath.Glob(filepath.Join(root, "deploy/grafana/dashboards/*.json"))
	if err != nil || len(files) != 3 {
		t.Fatalf("found dashboards %v, %v", files, err)
	}
	panels, expressions := 0, 0
	variables := strings.NewReplacer("$__rate_interval", "1m", "$recipient", ".*")
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var board struct {
			Panels []struct {
				Title   string
				Targets []struct{ Expr string }
			}
		}
		if err := json.Unmarshal(raw, &board); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, p := range board.Panels {
			panels++
			if len(p.Targets) == 0 {
				t.Errorf("%s: panel %q shows nothing", filepath.Base(file), p.Title)
			}
			for _, target := range p.Targets {
				expressions++
				d.check(t, filepath.Base(file)+": "+p.Title, variables.Replace(target.Expr))
			}
		}
	}
	t.Logf("%d panels with %d expressions in %d dashboards have values", panels, expressions, len(files))
}

// check says what is wrong with an expression: it can't be read, names a metric that is not there, or has no value.
func (d *database) check(t *testing.T, where, expr string) {
	t.Helper()
	missing, err := d.Missing(expr)
	if err != nil {
		t.Errorf("%s: %s: %v", where, expr, err)
		return
	}
	if len(missing) > 0 {
		t.Errorf("%s: %s: there is no metric %s", where, expr, strings.Join(missing, ", "))
		return
	}
	n, err := d.evaluate(expr)
	if err != nil || n == 0 && !quiet.MatchString(expr) {
		t.Errorf("%s: %s has %d values, %v", where, expr, n, err)
	}
}

func rules(t *testing.T, d *database) {
	p := parser.NewParser(parser.Options{})
	file := filepath.Join(root, "deploy/prometheus/rules.yaml")
	groups, errs := rulefmt.ParseFile(file, false, model.UTF8Validation, p, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	headings := anchors(t, filepath.Join(root, "docs/runbooks.md"))
	number, pending := 0, []string{}
	for _, g := range groups.Groups {
		for _, r := range g.Rules {
			number++
			d.rule(t, r, p)
			if n, _ := d.evaluate(r.Expr); n > 0 {
				pending = append(pending, r.Alert)
			}
			page, anchor, _ := strings.Cut(r.Annotations["runbook_url"], "#")
			if !strings.HasSuffix(page, "/docs/runbooks.md") || !headings[anchor] {
				t.Errorf("%s: runbook_url %s is no heading of docs/runbooks.md", r.Alert, r.Annotations["runbook_url"])
			}
			if r.Annotations["summary"] == "" || r.Labels["severity"] == "" {
				t.Errorf("%s has no summary or no severity", r.Alert)
			}
		}
	}
	t.Logf("%d rules evaluate; true on this system: %s", number, strings.Join(pending, ", "))
	for _, want := range []string{"OutboundRelayDown", "OutboundExpiresSoon", "OutboundEventsRejected", "OutboundDeliveriesDropped", "OutboundNotices"} {
		if !strings.Contains(strings.Join(pending, " "), want) {
			t.Errorf("%s is not true on a system that has what it is about", want)
		}
	}
}

// rule checks the expression of an alert, and that what it compares has values.
func (d *database) rule(t *testing.T, r rulefmt.Rule, p parser.Parser) {
	t.Helper()
	if missing, err := d.Missing(r.Expr); err != nil || len(missing) > 0 {
		t.Errorf("%s: %s: there is no metric %v, %v", r.Alert, r.Expr, missing, err)
		return
	}
	if _, err := d.evaluate(r.Expr); err != nil {
		t.Errorf("%s: %s: %v", r.Alert, r.Expr, err)
	}
	e, err := p.ParseExpr(r.Expr)
	if err != nil {
		t.Fatal(err)
	}
	parser.Inspect(e, func(n parser.Node, _ []parser.Node) error {
		if b, ok := n.(*parser.BinaryExpr); ok && b.Op.IsComparisonOperator() {
			d.check(t, r.Alert, b.LHS.String())
		}
		return nil
	})
}

// anchors are the names of a document's headings in links.
func anchors(t *testing.T, path string) map[string]bool {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]bool{}
	for _, h := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(string(text), -1) {
		out[strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
				return unicode.ToLower(r)
			default:
				return -1
			}
		}, h[1])] = true
	}
	return out
}
