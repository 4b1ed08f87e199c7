package telemetry

import "github.com/prometheus/client_golang/prometheus"

// IntakeObserver counts what intake decides.
type IntakeObserver struct {
	decisions *prometheus.CounterVec
	unwritten prometheus.Counter
	limited   *prometheus.CounterVec
}

// NewIntakeObserver registers outbound_intake_total, outbound_intake_records_dropped_total and outbound_intake_limited_total.
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
	r.MustRegister(o.decisions, o.unwritten, o.limited)
	o.limited.WithLabelValues("") // so that the metric is there from the start
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
