// Package deliverytelemetry reports each attempt: one log line, one metric, one span. It joins the domain's observer to the frame's
// telemetry, which know nothing of each other.
package deliverytelemetry

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/telemetry"
)

// Observer implements delivery.Observer. It may be used by several engines at once. So many recipients as telemetry.MaxSeries says have
// series of their own; the rest share those of telemetry.OtherSeries.
type Observer struct {
	t        *telemetry.Telemetry
	attempts *telemetry.Timer
	latency  *telemetry.Timer
	ended    *telemetry.Counter
	inFlight *telemetry.Gauge
	now      func() time.Time

	mu     sync.RWMutex
	by     map[who]*series
	others map[recipient.Channel]*series
	// sweep is when idle recipients may be looked for again.
	sweep time.Time
}

var _ delivery.Observer = (*Observer)(nil)

// New makes an observer that tells through t.
func New(t *telemetry.Telemetry) *Observer { return NewAt(t, time.Now) }

// NewAt is New with a clock.
func NewAt(t *telemetry.Telemetry, now func() time.Time) *Observer {
	to := []string{telemetry.KeyRecipient, telemetry.KeyChannel}
	labels := append(slices.Clone(to), telemetry.KeyVerdict, telemetry.KeyReason)
	return &Observer{
		t:        t,
		attempts: t.Timer("attempt_duration_seconds", "Duration and number of attempts.", labels...),
		latency:  t.LongTimer("delivery_latency_seconds", "Time from the acceptance of an event, or of its replay, to its delivery.", to...),
		ended:    t.Counter("unattempted_total", "Deliveries that finished without an attempt, and postponements.", labels...),
		inFlight: t.Gauge("recipient_in_flight", "Attempts that run in this process.", to...),
		now:      now, by: map[who]*series{}, others: map[recipient.Channel]*series{},
	}
}

// Begin starts the attempt's span, below the span that accepted the event.
func (o *Observer) Begin(ctx context.Context, d *delivery.Delivery) context.Context {
	channel := d.Recipient.Channel()
	s := o.of(d.Recipient.ID, channel)
	s.running.Add(1)
	s.inFlight.Add(1)
	p := telemetry.Processing{Destination: bus.StreamEvents, Group: string(channel) + "-" + d.Recipient.ID}
	if d.Event != nil {
		p.MessageID = d.Event.Key()
	}
	ctx, _ = telemetry.StartProcess(telemetry.Continue(ctx, d.TraceParent), o.t.Tracer, p)
	return context.WithValue(ctx, seriesKey{}, s)
}

// End tells of an attempt that was made, or was put off at the last moment.
func (o *Observer) End(ctx context.Context, r delivery.Report) {
	span := telemetry.SpanFrom(ctx)
	defer span.End()
	s, result := o.seriesIn(ctx, r), what{r.Verdict.Kind, r.Verdict.Reason}
	s.running.Add(-1)
	s.inFlight.Add(-1)
	if r.Verdict.Kind == delivery.Postpone {
		// Nothing has left the process: it was no attempt.
		o.Ended(r)
		return
	}
	s.timer(result).ObserveIn(ctx, r.Outcome.Took)
	if r.Verdict.Kind == delivery.Delivered && !r.Delivery.Accepted.IsZero() {
		s.latency.ObserveIn(ctx, max(r.Outcome.Began.Add(r.Outcome.Took).Sub(r.Delivery.Accepted), 0))
	}
	level := slog.LevelInfo
	if r.Verdict.Kind != delivery.Delivered {
		level = slog.LevelWarn
	}
	logged := o.t.Logger.Enabled(ctx, level)
	if !logged && !span.Recording() {
		return
	}
	attrs := attributes(r)
	if logged {
		if span.Recording() {
			attrs = append(attrs, slog.String(telemetry.KeyTraceID, telemetry.TraceID(ctx)))
		}
		o.t.Logger.LogAttrs(ctx, level, "delivery attempted", attrs...)
	}
	span.Set(attrs...)
	if r.Verdict.Kind != delivery.Delivered {
		span.FailAs(string(r.Verdict.Reason))
	}
}

// Ended tells of a delivery that ended without an attempt, or was put off.
func (o *Observer) Ended(r delivery.Report) {
	o.of(r.Delivery.Recipient.ID, r.Channel).count(what{r.Verdict.Kind, r.Verdict.Reason}).Inc()
	ctx := context.Background()
	level, line := slog.LevelInfo, "delivery finished without an attempt"
	if r.State == "" {
		level, line = slog.LevelDebug, "delivery postponed"
	}
	if o.t.Logger.Enabled(ctx, level) {
		o.t.Logger.LogAttrs(ctx, level, line, attributes(r)...)
	}
}

// attributes are what log line and span say of an attempt. An unreadable message has no event.
func attributes(r delivery.Report) []slog.Attr {
	d := r.Delivery
	attrs := make([]slog.Attr, 0, 20)
	attrs = append(attrs, slog.String(telemetry.KeyRecipient, d.Recipient.ID), slog.String(telemetry.KeyChannel, string(r.Channel)))
	if d.Event != nil {
		attrs = append(attrs, slog.String(telemetry.KeyEventID, d.Event.Key()), slog.String(telemetry.KeyEventType, d.Event.Type))
	}
	attrs = append(attrs, slog.Uint64(telemetry.KeySequence, r.Sequence), slog.Int(telemetry.KeyAttempt, d.Attempt),
		slog.String(telemetry.KeyVerdict, verdict(r.Verdict.Kind)), slog.String(telemetry.KeyReason, string(r.Verdict.Reason)))
	if r.State != "" {
		attrs = append(attrs, slog.String(telemetry.KeyState, string(r.State)))
	}
	if r.Outcome.Status != 0 {
		attrs = append(attrs, slog.Int(telemetry.KeyStatus, r.Outcome.Status))
	}
	if r.Outcome.Took != 0 {
		attrs = append(attrs, slog.Float64(telemetry.KeyTook, float64(r.Outcome.Took.Microseconds())/1000))
	}
	if detail := first(r.Verdict.Detail, r.Outcome.Detail); detail != "" {
		attrs = append(attrs, slog.String(telemetry.KeyDetail, detail))
	}
	if !r.Next.IsZero() {
		attrs = append(attrs, slog.Time(telemetry.KeyNextAttempt, r.Next))
	}
	if d.ReplayID != "" {
		attrs = append(attrs, slog.String(telemetry.KeyReplay, d.ReplayID))
	}
	if d.Test {
		attrs = append(attrs, slog.Bool(telemetry.KeyTest, true))
	}
	return attrs
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// verdict is the verdict as a word.
func verdict(k delivery.VerdictKind) string {
	switch k {
	case delivery.Delivered:
		return "delivered"
	case delivery.Retry:
		return "retry"
	case delivery.Postpone:
		return "postpone"
	case delivery.Drop:
		return "drop"
	default:
		return "unknown"
	}
}
