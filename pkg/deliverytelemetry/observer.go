// Package deliverytelemetry reports each attempt: one log line, one metric, one span. It joins the domain's observer to the frame's
// telemetry, which know nothing of each other.
package deliverytelemetry

import (
	"context"
	"log/slog"
	"sync"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/telemetry"
)

// Observer implements delivery.Observer. It may be used by several engines at once.
type Observer struct {
	t        *telemetry.Telemetry
	attempts *telemetry.Timer
	ended    *telemetry.Counter

	mu     sync.RWMutex
	timers map[series]telemetry.Times
	counts map[series]telemetry.Count
}

// series is a combination of label values. Looking its metric up here is cheaper than in the registry.
type series struct {
	recipient string
	channel   recipient.Channel
	verdict   delivery.VerdictKind
	reason    reasons.Reason
}

var _ delivery.Observer = (*Observer)(nil)

// New makes an observer that tells through t.
func New(t *telemetry.Telemetry) *Observer {
	labels := []string{telemetry.KeyRecipient, telemetry.KeyChannel, telemetry.KeyVerdict, telemetry.KeyReason}
	return &Observer{
		t:        t,
		attempts: t.Timer("attempt_duration_seconds", "Duration and number of attempts.", labels...),
		ended:    t.Counter("unattempted_total", "Deliveries that finished without an attempt, and postponements.", labels...),
		timers:   map[series]telemetry.Times{}, counts: map[series]telemetry.Count{},
	}
}

// Begin starts the attempt's span, below the span that accepted the event.
func (o *Observer) Begin(ctx context.Context, d *delivery.Delivery) context.Context {
	ctx, _ = o.t.Start(telemetry.Continue(ctx, d.TraceParent), "attempt delivery")
	return ctx
}

// End tells of an attempt that was made, or was put off at the last moment.
func (o *Observer) End(ctx context.Context, r delivery.Report) {
	span := telemetry.SpanFrom(ctx)
	defer span.End()
	if r.Verdict.Kind == delivery.Postpone {
		// Nothing has left the process: it was no attempt.
		o.Ended(r)
		return
	}
	o.timer(r).Observe(r.Outcome.Took)
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
		span.Fail(string(r.Verdict.Reason))
	}
}

// Ended tells of a delivery that ended without an attempt, or was put off.
func (o *Observer) Ended(r delivery.Report) {
	o.count(r).Inc()
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

func seriesOf(r delivery.Report) series {
	return series{r.Delivery.Recipient.ID, r.Channel, r.Verdict.Kind, r.Verdict.Reason}
}

func (s series) labels() []string {
	return []string{s.recipient, string(s.channel), verdict(s.verdict), string(s.reason)}
}

func (o *Observer) timer(r delivery.Report) telemetry.Times {
	s := seriesOf(r)
	o.mu.RLock()
	t, ok := o.timers[s]
	o.mu.RUnlock()
	if !ok {
		t = o.attempts.With(s.labels()...)
		o.mu.Lock()
		o.timers[s] = t
		o.mu.Unlock()
	}
	return t
}

func (o *Observer) count(r delivery.Report) telemetry.Count {
	s := seriesOf(r)
	o.mu.RLock()
	c, ok := o.counts[s]
	o.mu.RUnlock()
	if !ok {
		c = o.ended.With(s.labels()...)
		o.mu.Lock()
		o.counts[s] = c
		o.mu.Unlock()
	}
	return c
}
