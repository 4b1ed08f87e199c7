package ingest

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/telemetry"
	"github.com/outbound-events/outbound/services/ingest/internal/fair"
)

// httpPath is where events are posted, as spans name it.
const httpPath = "/v1/events"

// subjectTemplate stands for the subjects of all appliances in the names of spans.
const subjectTemplate = "outbound.ingest"

// traced decides on one event in a span of its own, and notes how long that took. It belongs to the trace of the request's headers; without
// one, to that of the event's traceparent (CloudEvents distributed tracing extension).
func (k *intake) traced(ctx context.Context, s submission, place *fair.Pass) (bus.Receipt, *event.Event, error) {
	began := time.Now()
	if !trace.SpanContextFromContext(ctx).IsValid() {
		ctx = telemetry.Continue(ctx, event.TraceParent(s.raw))
	}
	ctx, span := telemetry.StartProcess(ctx, k.tracer, telemetry.Processing{Destination: s.destination(), Template: s.template(),
		Group: s.group(), Size: len(s.raw)})
	defer span.End()
	receipt, e, err := k.inTurn(ctx, s, place)
	decision := outcome(receipt, err)
	if err != nil {
		span.FailAs(decision)
	}
	k.deps.Observer.Answered(ctx, decision, s.via, time.Since(began))
	return receipt, e, err
}

// destination names where an event was sent to.
func (s submission) destination() string {
	if s.subject != "" {
		return s.subject
	}
	return httpPath
}

func (s submission) template() string {
	if s.subject != "" {
		return subjectTemplate
	}
	return ""
}

func (s submission) group() string {
	if s.subject != "" {
		return queueGroup
	}
	return ""
}

// outcome is the word for what was decided.
func outcome(receipt bus.Receipt, err error) string {
	switch status.Code(err) {
	case codes.OK:
		if receipt.Duplicate {
			return decidedDuplicate
		}
		return decidedAccepted
	case codes.InvalidArgument, codes.PermissionDenied, codes.OutOfRange:
		return decidedRejected
	default:
		return decidedRefused
	}
}
