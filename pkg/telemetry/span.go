package telemetry

import (
	"context"
	"encoding/hex"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Span is one step of a trace.
type Span struct{ span trace.Span }

// Start begins a span; the context carries it on. Without an endpoint it has ids and holds nothing.
func (t *Telemetry) Start(ctx context.Context, name string) (context.Context, Span) {
	ctx, span := t.Tracer.Start(ctx, name)
	return ctx, Span{span}
}

// SpanFrom is the span that ctx carries; one that does nothing if there is none.
func SpanFrom(ctx context.Context) Span { return Span{trace.SpanFromContext(ctx)} }

// Recording reports whether what is set on the span is kept. Ask before making costly attributes.
func (s Span) Recording() bool { return s.span.IsRecording() }

// Set notes attributes, with the keys they have in the log.
func (s Span) Set(attrs ...slog.Attr) {
	if !s.span.IsRecording() {
		return
	}
	kv := make([]attribute.KeyValue, 0, len(attrs))
	for _, a := range attrs {
		kv = append(kv, spanAttribute(redact(a)))
	}
	s.span.SetAttributes(kv...)
}

func spanAttribute(a slog.Attr) attribute.KeyValue {
	v := a.Value.Resolve()
	switch v.Kind() {
	case slog.KindBool:
		return attribute.Bool(a.Key, v.Bool())
	case slog.KindInt64:
		return attribute.Int64(a.Key, v.Int64())
	case slog.KindFloat64:
		return attribute.Float64(a.Key, v.Float64())
	case slog.KindTime:
		return attribute.String(a.Key, v.Time().Format(time.RFC3339Nano))
	default:
		return attribute.String(a.Key, v.String())
	}
}

// Fail marks the span as failed, with what went wrong in words.
func (s Span) Fail(what string) { s.span.SetStatus(codes.Error, what) }

// End ends the span.
func (s Span) End() { s.span.End() }

// TraceID is the id of the trace that ctx belongs to; empty if none.
func TraceID(ctx context.Context) string {
	if sc := trace.SpanContextFromContext(ctx); sc.HasTraceID() {
		return sc.TraceID().String()
	}
	return ""
}

// parent is a carrier of one traceparent header.
type parent string

// Get implements propagation.TextMapCarrier.
func (p parent) Get(key string) string {
	if key == "traceparent" {
		return string(p)
	}
	return ""
}

// Set implements propagation.TextMapCarrier; nothing is written.
func (p parent) Set(string, string) {}

// Keys implements propagation.TextMapCarrier.
func (p parent) Keys() []string { return []string{"traceparent"} }

// Continue has ctx belong to the trace that a W3C traceparent header names. An empty or malformed one changes nothing.
func Continue(ctx context.Context, traceParent string) context.Context {
	if traceParent == "" {
		return ctx
	}
	return propagation.TraceContext{}.Extract(ctx, parent(traceParent))
}

// TraceParent is the W3C traceparent header of the trace that ctx belongs to; empty if none.
func TraceParent(ctx context.Context) string {
	sc := trace.SpanContextFromContext(ctx)
	if !sc.IsValid() {
		return ""
	}
	id, span := sc.TraceID(), sc.SpanID()
	flags := [1]byte{byte(sc.TraceFlags() & (trace.FlagsSampled | trace.FlagsRandom))}
	b := make([]byte, 0, len("00-")+2*len(id)+len("-")+2*len(span)+len("-01"))
	b = hex.AppendEncode(append(b, "00-"...), id[:])
	b = hex.AppendEncode(append(b, '-'), span[:])
	b = hex.AppendEncode(append(b, '-'), flags[:])
	return string(b)
}
