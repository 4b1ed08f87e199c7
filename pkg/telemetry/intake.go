package telemetry

import "github.com/prometheus/client_golang/prometheus"

// IntakeObserver counts what intake decides.
type IntakeObserver struct {
	decisions *prometheus.CounterVec
	unwritten prometheus.Counter
}

// NewIntakeObserver registers outbound_intake_total and outbound_intake_records_dropped_total.
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
	}
	r.MustRegister(o.decisions, o.unwritten)
	return o
}

// Decided counts a decision. reason is empty unless an event was rejected or refused; via is nats or http.
func (o *IntakeObserver) Decided(decision, reason, via string) {
	o.decisions.WithLabelValues(decision, reason, via).Inc()
}

// Unrecorded counts a decision that history does not know.
func (o *IntakeObserver) Unrecorded() { o.unwritten.Inc() }
