package telemetry

import (
	"context"

	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/embedded"
)

// passingProvider makes tracers for a process that sends no spans anywhere: whether a trace is sampled is for the others in it, so the
// flags that came in go out as they came (W3C Trace Context, 3.3.2).
type passingProvider struct {
	embedded.TracerProvider
	next trace.TracerProvider
}

// Tracer implements trace.TracerProvider.
func (p passingProvider) Tracer(name string, options ...trace.TracerOption) trace.Tracer {
	return passingTracer{next: p.next.Tracer(name, options...)}
}

type passingTracer struct {
	embedded.Tracer
	next trace.Tracer
}

// Start implements trace.Tracer: the span has an id of its own, and the flags of what it belongs to.
func (t passingTracer) Start(ctx context.Context, name string, options ...trace.SpanStartOption) (context.Context, trace.Span) {
	flags := trace.SpanContextFromContext(ctx).TraceFlags()
	ctx, span := t.next.Start(ctx, name, options...)
	if sc := span.SpanContext(); sc.IsValid() && sc.TraceFlags() != flags {
		ctx = trace.ContextWithSpanContext(ctx, sc.WithTraceFlags(flags))
		span = trace.SpanFromContext(ctx)
	}
	return ctx, span
}
