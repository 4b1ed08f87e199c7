package telemetry

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// OtherSeries is the label value that all share that have no series of their own. No recipient is called so.
const OtherSeries = "_other"

// Described is a gauge whose values are read when metrics are asked for.
type Described struct {
	desc   *prometheus.Desc
	labels int
}

// Describe describes a gauge outbound_<name>.
func Describe(name, help string, labels ...string) Described {
	return Described{desc: prometheus.NewDesc(MetricPrefix+name, help, labels, nil), labels: len(labels)}
}

// Put adds a value of a gauge to a report, with the values of its labels in their order. Of two values with the same labels the first
// counts, and one with another number of labels than the gauge has is left out: a wrong value must not cost the others.
type Put func(d Described, value float64, labels ...string)

// Report has read called whenever metrics are asked for. It must be quick, or bound its own time, and may be called concurrently.
func (t *Telemetry) Report(read func(put Put)) { register(t, &reported{read: read}) }

// reported is a collector that describes nothing beforehand, so that several can be registered.
type reported struct{ read func(Put) }

// Describe implements prometheus.Collector.
func (*reported) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (r *reported) Collect(out chan<- prometheus.Metric) {
	known := map[string]bool{}
	r.read(func(d Described, value float64, labels ...string) {
		for i := range labels {
			labels[i] = strings.ToValidUTF8(labels[i], "\uFFFD")
		}
		key := d.desc.String() + "\xff" + strings.Join(labels, "\xff")
		if known[key] || len(labels) != d.labels {
			return
		}
		known[key] = true
		out <- prometheus.MustNewConstMetric(d.desc, prometheus.GaugeValue, value, labels...)
	})
}
