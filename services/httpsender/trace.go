package httpsender

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/outbound-events/outbound/pkg/delivery"
)

// redactedPath stands for path and query of a URL in spans: both may hold a receiver's secrets.
const redactedPath = "/REDACTED"

// startRequest begins the span of a request to a receiver, by OpenTelemetry's semantic conventions 1.37 for HTTP clients, if the span that
// it belongs to is recorded.
func startRequest(ctx context.Context, u *url.URL, attempt int) (context.Context, trace.Span) {
	parent := trace.SpanFromContext(ctx)
	if !parent.IsRecording() {
		return ctx, nil
	}
	attributes := []attribute.KeyValue{
		attribute.String("http.request.method", http.MethodPost), attribute.String("server.address", u.Hostname()),
		attribute.Int("server.port", portOf(u)), attribute.String("url.scheme", u.Scheme),
		attribute.String("url.full", u.Scheme+"://"+u.Host+redactedPath),
	}
	if attempt > 1 {
		attributes = append(attributes, attribute.Int("http.request.resend_count", attempt-1))
	}
	return parent.TracerProvider().Tracer("github.com/outbound-events/outbound").Start(ctx, http.MethodPost,
		trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attributes...))
}

// portOf returns the port of a URL, 443 or 80 if it names none.
func portOf(u *url.URL) int {
	if port, err := strconv.Atoi(u.Port()); err == nil {
		return port
	}
	if u.Scheme == "http" {
		return 80
	}
	return 443
}

// endRequest ends the span of a request with what came of it. span may be nil.
func endRequest(span trace.Span, o delivery.Outcome) {
	if span == nil {
		return
	}
	defer span.End()
	if o.Status > 0 {
		span.SetAttributes(attribute.Int("http.response.status_code", o.Status))
	}
	switch {
	case o.Fault != delivery.FaultNone:
		reason := string(delivery.ReasonOf(o.Fault))
		span.SetAttributes(attribute.String("error.type", reason))
		span.SetStatus(codes.Error, reason)
	case o.Status >= http.StatusBadRequest:
		span.SetAttributes(attribute.String("error.type", strconv.Itoa(o.Status)))
		span.SetStatus(codes.Error, "")
	}
}
