package wire

import (
	"context"

	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel/propagation"
)

// The headers that carry the W3C trace context of an event's acceptance, as they stand in messages.
const (
	HeaderTraceParent = "Traceparent"
	headerTraceState  = "Tracestate"
)

// carrier writes a trace context into a message's headers. Those of NATS tell upper from lower case, and the headers' names are
// known, so that none has to be brought into its canonical spelling for each message.
type carrier nats.Header

var _ propagation.TextMapCarrier = carrier{}

// Get implements propagation.TextMapCarrier.
func (c carrier) Get(key string) string { return nats.Header(c).Get(headerOf(key)) }

// Set implements propagation.TextMapCarrier.
func (c carrier) Set(key, value string) { nats.Header(c).Set(headerOf(key), value) }

// Keys implements propagation.TextMapCarrier.
func (c carrier) Keys() []string { return []string{"traceparent", "tracestate"} }

func headerOf(key string) string {
	if key == "tracestate" {
		return headerTraceState
	}
	return HeaderTraceParent
}

// Inject has a message carry the trace context of ctx.
func Inject(ctx context.Context, m *nats.Msg) {
	propagation.TraceContext{}.Inject(ctx, carrier(m.Header))
}
