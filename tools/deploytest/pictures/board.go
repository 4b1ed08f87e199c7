package main

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/outbound-events/outbound/tools/deploytest/metrics"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
)

// board is a dashboard, as far as it is drawn.
type board struct {
	Title      string
	Panels     []panel
	Templating struct {
		List []struct {
			Name, Label, Type, Definition string
		}
	}
}

type panel struct {
	Title, Type string
	GridPos     struct{ H, W, X, Y int }
	FieldConfig struct {
		Defaults struct {
			Unit       string
			Min, Max   *float64
			Thresholds struct{ Steps []threshold }
		}
	}
	Targets         []target
	Transformations []struct {
		ID      string
		Options struct{ ExcludeByName map[string]bool }
	}
}

// threshold is a color and the value from which it counts. The first has no value.
type threshold struct {
	Color string
	Value *float64
}

type target struct{ Expr, LegendFormat string }

func readBoard(path string) (board, error) {
	var b board
	raw, err := os.ReadFile(path) //nolint:gosec // a dashboard of the repository
	if err != nil {
		return b, err
	}
	if err := json.Unmarshal(raw, &b); err != nil {
		return b, fmt.Errorf("read %s: %w", path, err)
	}
	return b, nil
}

// span is the time that a picture shows, and the distance of its points.
type span struct {
	from, to time.Time
	step     time.Duration
}

// source answers the queries of a dashboard.
type source struct {
	db *metrics.Database
	span
	variables *strings.Replacer
}

var labelValues = regexp.MustCompile(`^label_values\((\w+), (\w+)\)$`)

// newSource replaces the variables of a dashboard as Grafana does: a rate looks at four scrapes, and All is every value of a label.
func newSource(db *metrics.Database, s span, b board) (*source, error) {
	pairs := []string{"$__rate_interval", (4 * s.step).String()}
	for _, v := range b.Templating.List {
		if v.Type != "query" {
			continue
		}
		m := labelValues.FindStringSubmatch(v.Definition)
		if m == nil {
			return nil, fmt.Errorf("variable %s: %s is not understood", v.Name, v.Definition)
		}
		all, err := db.Range(fmt.Sprintf("group by (%s) (%s)", m[2], m[1]), s.from, s.to, s.step)
		if err != nil {
			return nil, fmt.Errorf("variable %s: %w", v.Name, err)
		}
		var values []string
		for _, series := range all {
			values = append(values, regexp.QuoteMeta(series.Metric.Get(m[2])))
		}
		slices.Sort(values)
		pairs = append(pairs, "$"+v.Name, "("+strings.ReplaceAll(strings.Join(values, "|"), `\`, `\\`)+")")
	}
	return &source{db, s, strings.NewReplacer(pairs...)}, nil
}

// line is one series of a panel.
type line struct {
	name   string
	points []promql.FPoint
}

// lines are the series of a panel over time, sorted by name within a query.
func (s *source) lines(p panel) ([]line, error) {
	var out []line
	for _, t := range p.Targets {
		m, err := s.db.Range(s.variables.Replace(t.Expr), s.from, s.to, s.step)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.Title, err)
		}
		var some []line
		for _, series := range m {
			some = append(some, line{legend(t.LegendFormat, series.Metric), series.Floats})
		}
		slices.SortFunc(some, func(a, b line) int { return strings.Compare(a.name, b.name) })
		out = append(out, some...)
	}
	return out, nil
}

// table is the answer to an instant query: a row for each series, in the order of the answer.
type table struct {
	Names []string
	Rows  [][]string
}

func (s *source) table(p panel) (table, error) {
	var out table
	hidden := map[string]bool{}
	for _, t := range p.Transformations {
		for name, yes := range t.Options.ExcludeByName {
			hidden[name] = yes
		}
	}
	v, err := s.db.Instant(s.variables.Replace(p.Targets[0].Expr), s.to)
	if err != nil {
		return out, fmt.Errorf("%s: %w", p.Title, err)
	}
	names := map[string]bool{}
	for _, sample := range v {
		sample.Metric.Range(func(l labels.Label) { names[l.Name] = true })
	}
	all := []string{"Time"}
	for name := range names {
		all = append(all, name)
	}
	slices.Sort(all[1:])
	for _, name := range append(all, "Value") {
		if !hidden[name] {
			out.Names = append(out.Names, name)
		}
	}
	for _, sample := range v {
		var row []string
		for _, name := range out.Names {
			switch name {
			case "Time":
				row = append(row, s.to.Format(time.DateTime))
			case "Value":
				row = append(row, quantity(sample.F, p.FieldConfig.Defaults.Unit))
			default:
				row = append(row, sample.Metric.Get(name))
			}
		}
		out.Rows = append(out.Rows, row)
	}
	return out, nil
}

var placeholder = regexp.MustCompile(`\{\{\s*(\w+)\s*\}\}`)

// legend is the name of a series: its format with labels in place of {{label}}, or all labels.
func legend(format string, m labels.Labels) string {
	if format == "" {
		return m.String()
	}
	return strings.TrimSpace(placeholder.ReplaceAllStringFunc(format, func(x string) string {
		return m.Get(placeholder.FindStringSubmatch(x)[1])
	}))
}
