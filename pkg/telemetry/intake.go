package telemetry

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// IntakeObserver counts what intake decides.
type IntakeObserver struct {
	decisions *prometheus.CounterVec
	unwritten prometheus.Counter
	limited   *prometheus.CounterVec
	durations *prometheus.HistogramVec
}

// NewIntakeObserver registers outbound_intake_total, outbound_intake_records_dropped_total, outbound_intake_limited_total and
// outbound_intake_duration_seconds.
func NewIntakeObserver(r prometheus.Registerer) *IntakeObserver {
	o := &IntakeObserver{
		decisions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: MetricPrefix + "intake_total",
			Help: "Events by what intake decided: accepted, duplicate, rejected (the event is at fault) or refused (try again later).",
		}, []string{KeyDecision, KeyReason, KeyVia}),
		unwritten: prometheus.NewCounter(prometheus.CounterOpts{
			Name: MetricPrefix + "intake_records_dropped_total",
			Help: "Decisions without a record in history: it could not be written, or one appliance had too many rejected.",
		}),
		limited: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: MetricPrefix + "intake_limited_total",
			Help: "Events refused because their appliance publishes more than its limit; the appliance is empty for unknown senders.",
		}, []string{KeyAppliance}),
	}
	o.limited.WithLabelValues("") // so that the metric is there from the start
	o.durations = prometheus.NewHistogramVec(histogram("intake_duration_seconds",
		"How long intake took from an event's arrival to its answer, in seconds.", buckets()), []string{KeyDecision, KeyVia})
	r.MustRegister(o.decisions, o.unwritten, o.limited, o.durations)
	return o
}

// Decided counts a decision. reason is empty unless an event was rejected or refused; via is nats or http.
func (o *IntakeObserver) Decided(decision, reason, via string) {
	o.decisions.WithLabelValues(decision, reason, via).Inc()
}

// Unrecorded counts a decision that history does not know.
func (o *IntakeObserver) Unrecorded() { o.unwritten.Inc() }

// Limited counts an event above the limit of its appliance.
func (o *IntakeObserver) Limited(appliance string) { o.limited.WithLabelValues(appliance).Inc() }

// Answered notes how long the answer to an event took, in the trace that ctx belongs to.
func (o *IntakeObserver) Answered(ctx context.Context, decision, via string, took time.Duration) {
	Times{o.durations.WithLabelValues(decision, via)}.ObserveIn(ctx, took)
}
