// Package metrics is Prometheus's storage and engine with what was scraped from a system.
package metrics

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/tsdb"
)

// limit ends an evaluation that hangs.
const limit = 5 * time.Minute

// Database holds scrapes and evaluates expressions on them.
type Database struct {
	db     *tsdb.DB
	engine *promql.Engine
	// names are the metrics that are there, current the series of the last scrape.
	names   map[string]bool
	current map[string]labels.Labels
}

// Open opens a database that keeps its files in a folder.
func Open(dir string) (*Database, error) {
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	db, err := tsdb.Open(dir, quiet, nil, tsdb.DefaultOptions(), nil)
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	engine := promql.NewEngine(promql.EngineOpts{Logger: quiet, MaxSamples: 10_000_000, Timeout: limit, LookbackDelta: 5 * time.Minute,
		EnableAtModifier: true, EnableNegativeOffset: true, Parser: parser.NewParser(parser.Options{})})
	return &Database{db: db, engine: engine, names: map[string]bool{}}, nil
}

// Close closes the database.
func (d *Database) Close() error { return d.db.Close() }

// Add stores a scrape with the labels that Prometheus adds, and ends the series that the scrape before had and this one lacks.
func (d *Database) Add(text []byte, at time.Time) error {
	p := expfmt.NewTextParser(model.UTF8Validation)
	families, err := p.TextToMetricFamilies(bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("parse the metrics: %w", err)
	}
	app := d.db.Appender(context.Background())
	last := d.current
	d.current = map[string]labels.Labels{}
	var failed error
	put := func(name string, v float64, pairs ...*dto.LabelPair) {
		b := labels.NewBuilder(labels.FromStrings("__name__", name, "job", "outbound", "instance", "127.0.0.1:8080"))
		for _, l := range pairs {
			b.Set(l.GetName(), l.GetValue())
		}
		d.names[name] = true
		series := b.Labels()
		d.current[series.String()] = series
		if _, err := app.Append(0, series, at.UnixMilli(), v); err != nil && failed == nil {
			failed = fmt.Errorf("store %s: %w", name, err)
		}
	}
	put("up", 1)
	for name, f := range families {
		for _, m := range f.GetMetric() {
			each(name, m, put)
		}
	}
	for key, series := range last {
		if _, there := d.current[key]; there {
			continue
		}
		if _, err := app.Append(0, series, at.UnixMilli(), math.Float64frombits(value.StaleNaN)); err != nil && failed == nil {
			failed = fmt.Errorf("end %s: %w", key, err)
		}
	}
	if failed != nil {
		_ = app.Rollback()
		return failed
	}
	return app.Commit()
}

// each puts the samples of a metric.
func each(name string, m *dto.Metric, put func(string, float64, ...*dto.LabelPair)) {
	switch {
	case m.GetHistogram() != nil:
		h := m.GetHistogram()
		put(name+"_sum", h.GetSampleSum(), m.GetLabel()...)
		put(name+"_count", float64(h.GetSampleCount()), m.GetLabel()...)
		for _, b := range h.GetBucket() {
			le, bound := "le", fmt.Sprint(b.GetUpperBound())
			put(name+"_bucket", float64(b.GetCumulativeCount()), append(append([]*dto.LabelPair{}, m.GetLabel()...),
				&dto.LabelPair{Name: &le, Value: &bound})...)
		}
	case m.GetSummary() != nil:
		put(name+"_count", float64(m.GetSummary().GetSampleCount()), m.GetLabel()...)
	case m.GetCounter() != nil:
		put(name, m.GetCounter().GetValue(), m.GetLabel()...)
	case m.GetGauge() != nil:
		put(name, m.GetGauge().GetValue(), m.GetLabel()...)
	default:
		put(name, m.GetUntyped().GetValue(), m.GetLabel()...)
	}
}

// Instant evaluates an expression at a time. A scalar is a vector of one sample without labels.
func (d *Database) Instant(expr string, at time.Time) (promql.Vector, error) {
	q, err := d.engine.NewInstantQuery(context.Background(), d.db, nil, expr, at)
	if err != nil {
		return nil, err
	}
	defer q.Close()
	r := q.Exec(context.Background())
	if r.Err != nil {
		return nil, r.Err
	}
	switch v := r.Value.(type) {
	case promql.Vector:
		return append(promql.Vector{}, v...), nil
	case promql.Scalar:
		return promql.Vector{{T: v.T, F: v.V}}, nil
	default:
		return nil, fmt.Errorf("is a %s", v.Type())
	}
}

// Range evaluates an expression at each step between two times.
func (d *Database) Range(expr string, from, to time.Time, step time.Duration) (promql.Matrix, error) {
	q, err := d.engine.NewRangeQuery(context.Background(), d.db, nil, expr, from, to, step)
	if err != nil {
		return nil, err
	}
	defer q.Close()
	r := q.Exec(context.Background())
	if r.Err != nil {
		return nil, r.Err
	}
	m, err := r.Matrix()
	if err != nil {
		return nil, err
	}
	// The engine takes the points back when the query is closed.
	out := make(promql.Matrix, 0, len(m))
	for _, s := range m {
		out = append(out, promql.Series{Metric: s.Metric.Copy(), Floats: append([]promql.FPoint{}, s.Floats...)})
	}
	return out, nil
}

// Missing returns the metrics that an expression names and that are not there.
func (d *Database) Missing(expr string) ([]string, error) {
	e, err := parser.NewParser(parser.Options{}).ParseExpr(expr)
	if err != nil {
		return nil, err
	}
	var out []string
	parser.Inspect(e, func(n parser.Node, _ []parser.Node) error {
		if v, ok := n.(*parser.VectorSelector); ok && !d.names[v.Name] {
			out = append(out, v.Name)
		}
		return nil
	})
	return out, nil
}
