package telemetry

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
)

// Timer is a metric of how long things take, and of how many there were.
type Timer struct{ vec *prometheus.HistogramVec }

// Times is a Timer for given values of its labels. Keep it where it is needed often.
type Times struct{ o prometheus.Observer }

// buckets of a Timer, in seconds: from a neighbour in the same rack to the longest timeout.
func buckets() []float64 {
	return []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30}
}

// longBuckets are the buckets of a Timer of what may be retried, in seconds: up to a day, of a week at most.
func longBuckets() []float64 {
	return []float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 14400, 86400}
}

// Bounds of the native part of a histogram: steps of at most 10 %, and at most this many of them. One that has more starts anew after an
// hour, or gets wider steps.
const (
	nativeFactor  = 1.1
	nativeBuckets = 100
	nativeReset   = time.Hour
)

// histogram describes a histogram outbound_<name> with fixed buckets for all and native ones (Prometheus, native histograms) for who
// scrapes in the protobuf format.
func histogram(name, help string, fixed []float64) prometheus.HistogramOpts {
	return prometheus.HistogramOpts{Name: MetricPrefix + name, Help: help, Buckets: fixed, NativeHistogramBucketFactor: nativeFactor,
		NativeHistogramMaxBucketNumber: nativeBuckets, NativeHistogramMinResetDuration: nativeReset}
}

// Timer makes a metric outbound_<name>, or gives the one that is there. Names of timers end in _seconds.
func (t *Telemetry) Timer(name, help string, labels ...string) *Timer {
	return &Timer{vec: register(t, prometheus.NewHistogramVec(histogram(name, help, buckets()), labels))}
}

// LongTimer is Timer for what may take a day.
func (t *Telemetry) LongTimer(name, help string, labels ...string) *Timer {
	return &Timer{vec: register(t, prometheus.NewHistogramVec(histogram(name, help, longBuckets()), labels))}
}

// With gives the timer for values of its labels, in their order.
func (t *Timer) With(values ...string) Times { return Times{t.vec.WithLabelValues(values...)} }

// Drop forgets all that was observed for one value of a label, whatever the other labels' values are.
func (t *Timer) Drop(label, value string) { t.vec.DeletePartialMatch(prometheus.Labels{label: value}) }

// Observe notes that something took d.
func (t Times) Observe(d time.Duration) { t.o.Observe(d.Seconds()) }

// ObserveIn is Observe, with the trace that ctx belongs to as an exemplar (OpenMetrics 1.0, exemplars) if that trace is kept.
func (t Times) ObserveIn(ctx context.Context, d time.Duration) {
	sc := trace.SpanContextFromContext(ctx)
	with, ok := t.o.(prometheus.ExemplarObserver)
	if !ok || !sc.IsSampled() || !sc.HasTraceID() {
		t.Observe(d)
		return
	}
	with.ObserveWithExemplar(d.Seconds(), prometheus.Labels{KeyTraceID: sc.TraceID().String()})
}
