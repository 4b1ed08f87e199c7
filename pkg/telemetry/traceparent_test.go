package telemetry_test

import (
	"testing"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/outbound-events/outbound/pkg/telemetry"
)

func TestTraceParentsAreThoseOfThePropagator(t *testing.T) {
	if got := telemetry.TraceParent(t.Context()); got != "" {
		t.Errorf("without a trace it is %q", got)
	}
	for _, flags := range []trace.TraceFlags{0, trace.FlagsSampled, trace.FlagsRandom, 0xff} {
		ctx := trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{
			TraceID: trace.TraceID{0xa, 15: 0xb}, SpanID: trace.SpanID{1, 7: 0xfe}, TraceFlags: flags,
		}))
		want := propagation.MapCarrier{}
		propagation.TraceContext{}.Inject(ctx, want)
		got := telemetry.TraceParent(ctx)
		if got != want["traceparent"] {
			t.Errorf("flags %x: %q, want %q", flags, got, want["traceparent"])
		}
		if back := telemetry.TraceParent(telemetry.Continue(t.Context(), got)); back != got {
			t.Errorf("flags %x: continued as %q, want %q", flags, back, got)
		}
	}
}
