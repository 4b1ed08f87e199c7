package telemetry

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// Counter is a metric that only grows, with a value for each combination of its labels' values.
type Counter struct{ vec *prometheus.CounterVec }

// Count is a Counter for given values of its labels. Keep it where it is needed often: it is a few nanoseconds then.
type Count struct{ c prometheus.Counter }

// Counter makes a metric outbound_<name>, or gives the one that is there. Names of counters end in _total.
func (t *Telemetry) Counter(name, help string, labels ...string) *Counter {
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: MetricPrefix + name, Help: help}, labels)
	return &Counter{vec: register(t, vec)}
}

// With gives the counter for values of its labels, in their order.
func (c *Counter) With(values ...string) Count { return Count{c.vec.WithLabelValues(values...)} }

// Drop forgets all that was counted for one value of a label, whatever the other labels' values are.
func (c *Counter) Drop(label, value string) {
	c.vec.DeletePartialMatch(prometheus.Labels{label: value})
}

// Inc adds one.
func (c Count) Inc() { c.c.Inc() }

// Add adds n, which must not be negative.
func (c Count) Add(n float64) { c.c.Add(n) }

// Gauge is a metric that goes up and down.
type Gauge struct{ vec *prometheus.GaugeVec }

// Level is a Gauge for given values of its labels.
type Level struct{ g prometheus.Gauge }

// Gauge makes a metric outbound_<name>, or gives the one that is there.
func (t *Telemetry) Gauge(name, help string, labels ...string) *Gauge {
	vec := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: MetricPrefix + name, Help: help}, labels)
	return &Gauge{vec: register(t, vec)}
}

// With gives the gauge for values of its labels, in their order.
func (g *Gauge) With(values ...string) Level { return Level{g.vec.WithLabelValues(values...)} }

// Forget drops what was set for values of its labels.
func (g *Gauge) Forget(values ...string) { g.vec.DeleteLabelValues(values...) }

// Drop forgets all that was set for one value of a label, whatever the other labels' values are.
func (g *Gauge) Drop(label, value string) { g.vec.DeletePartialMatch(prometheus.Labels{label: value}) }

// Set says how much it is now.
func (l Level) Set(v float64) { l.g.Set(v) }

// Add changes it by d, which may be negative.
func (l Level) Add(d float64) { l.g.Add(d) }

// register adds a metric, or gives the one that is there: in the all-in-one, services share a registry and some metrics. A
// metric that contradicts another is told in the log and counts unseen, since a wrong metric must not stop a delivery.
func register[C prometheus.Collector](t *Telemetry, c C) C {
	err := t.Registry.Register(c)
	var there prometheus.AlreadyRegisteredError
	if errors.As(err, &there) {
		if same, ok := there.ExistingCollector.(C); ok {
			return same
		}
	}
	if err != nil {
		t.Logger.Error("metric not registered", KeyError, err.Error())
	}
	return c
}
