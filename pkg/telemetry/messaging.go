package telemetry

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// Attributes of spans by OpenTelemetry's semantic conventions 1.37 for messaging.
const (
	attrSystem        = attribute.Key("messaging.system")
	attrOperationType = attribute.Key("messaging.operation.type")
	attrOperationName = attribute.Key("messaging.operation.name")
	attrDestination   = attribute.Key("messaging.destination.name")
	attrTemplate      = attribute.Key("messaging.destination.template")
	attrMessageID     = attribute.Key("messaging.message.id")
	attrGroup         = attribute.Key("messaging.consumer.group.name")
	attrBodySize      = attribute.Key("messaging.message.body.size")
	attrErrorType     = attribute.Key("error.type")
)

// system is the messaging system.
const system = "nats"

// Processing is a message that is processed.
type Processing struct {
	// Stream or subject that it was read from. Template stands for it in the span's name if there are many: a subject with wildcards.
	Destination, Template string
	// Group is the consumer that shares the messages between processes.
	Group string
	// MessageID identifies the message; may be empty. Size is that of its body in bytes; 0: not known.
	MessageID string
	Size      int
}

// StartProcess begins the span of a consumer that processes a message, on tracer.
func StartProcess(ctx context.Context, tracer trace.Tracer, p Processing) (context.Context, Span) {
	name := p.Template
	if name == "" {
		name = p.Destination
	}
	ctx, span := tracer.Start(ctx, "process "+name, trace.WithSpanKind(trace.SpanKindConsumer))
	if !span.IsRecording() {
		return ctx, Span{span}
	}
	span.SetAttributes(attrSystem.String(system), attrOperationType.String("process"), attrOperationName.String("process"),
		attrDestination.String(p.Destination))
	for key, value := range map[attribute.Key]string{attrTemplate: p.Template, attrGroup: p.Group, attrMessageID: p.MessageID} {
		if value != "" {
			span.SetAttributes(key.String(value))
		}
	}
	if p.Size > 0 {
		span.SetAttributes(attrBodySize.Int(p.Size))
	}
	return ctx, Span{span}
}

// FailAs marks the span as failed for a reason, one word of few.
func (s Span) FailAs(reason string) {
	s.span.SetAttributes(attrErrorType.String(reason))
	s.Fail(reason)
}
