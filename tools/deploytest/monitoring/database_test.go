package monitoring_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/tsdb"
)

// step is the scrape interval.
const step = 15 * time.Second

// database is Prometheus's storage and engine with what was scraped.
type database struct {
	t      *testing.T
	db     *tsdb.DB
	engine *promql.Engine
	// names are the metrics that are there.
	names map[string]bool
	now   time.Time
}

func newDatabase(t *testing.T, scrapes int) *database {
	t.Helper()
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	db, err := tsdb.Open(t.TempDir(), quiet, nil, tsdb.DefaultOptions(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	engine := promql.NewEngine(promql.EngineOpts{Logger: quiet, MaxSamples: 10_000_000, Timeout: limit, LookbackDelta: 5 * time.Minute,
		EnableAtModifier: true, EnableNegativeOffset: true, Parser: parser.NewParser(parser.Options{})})
	return &database{t: t, db: db, engine: engine, names: map[string]bool{}, now: time.Now().Add(-time.Duration(scrapes) * step)}
}

// add stores a scrape, a step after the last, with the labels that Prometheus adds.
func (d *database) add(text []byte) {
	d.t.Helper()
	p := expfmt.NewTextParser(model.UTF8Validation)
	families, err := p.TextToMetricFamilies(bytes.NewReader(text))
	if err != nil {
		d.t.Fatalf("parse the metrics: %v", err)
	}
	d.now = d.now.Add(step)
	app := d.db.Appender(context.Background())
	put := func(name string, value float64, pairs ...*dto.LabelPair) {
		b := labels.NewBuilder(labels.FromStrings("__name__", name, "job", "outbound", "instance", "127.0.0.1:8080"))
		for _, l := range pairs {
			b.Set(l.GetName(), l.GetValue())
		}
		d.names[name] = true
		if _, err := app.Append(0, b.Labels(), d.now.UnixMilli(), value); err != nil {
			d.t.Fatalf("store %s: %v", name, err)
		}
	}
	put("up", 1)
	for name, f := range families {
		for _, m := range f.GetMetric() {
			each(name, m, put)
		}
	}
	if err := app.Commit(); err != nil {
		d.t.Fatal(err)
	}
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

// evaluate evaluates an expression now and returns how many series it has.
func (d *database) evaluate(expr string) (int, error) {
	q, err := d.engine.NewInstantQuery(context.Background(), d.db, nil, expr, d.now)
	if err != nil {
		return 0, err
	}
	defer q.Close()
	r := q.Exec(context.Background())
	if r.Err != nil {
		return 0, r.Err
	}
	switch v := r.Value.(type) {
	case promql.Vector:
		return len(v), nil
	case promql.Scalar:
		return 1, nil
	default:
		return 0, fmt.Errorf("is a %s", v.Type())
	}
}

// missing returns the metrics that an expression names and that are not there.
func (d *database) missing(expr string) ([]string, error) {
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
