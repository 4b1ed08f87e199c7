package telemetry

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	bridge "go.opentelemetry.io/contrib/bridges/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// The signals that are sent over OTLP, as the variables of OpenTelemetry name them.
const (
	signalTraces  = "TRACES"
	signalMetrics = "METRICS"
)

// The protocols of OTLP that OTEL_EXPORTER_OTLP_PROTOCOL may name.
const (
	protocolGRPC = "grpc"
	protocolHTTP = "http/protobuf"
)

// standard reads the environment variables that the OpenTelemetry specification defines for every SDK. The exporters read the rest of them
// themselves: addresses, headers, certificates, timeouts.
type standard func(string) string

// off reports whether a signal is switched off.
func (env standard) off(signal string) bool {
	return strings.EqualFold(env("OTEL_SDK_DISABLED"), "true") || strings.EqualFold(env("OTEL_"+signal+"_EXPORTER"), "none")
}

// addressed reports whether the environment names where a signal is sent.
func (env standard) addressed(signal string) bool {
	return env("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || env("OTEL_EXPORTER_OTLP_"+signal+"_ENDPOINT") != ""
}

// protocol returns how a signal is sent: gRPC unless the environment says otherwise.
func (env standard) protocol(signal string) (string, error) {
	for _, name := range []string{"OTEL_EXPORTER_OTLP_" + signal + "_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"} {
		switch value := env(name); value {
		case "":
		case protocolGRPC, protocolHTTP:
			return value, nil
		default:
			return "", fmt.Errorf("%s: %q is not supported: use grpc or http/protobuf", name, value)
		}
	}
	return protocolGRPC, nil
}

// spanExporter makes the exporter of spans; nil if none are sent. It connects in the background: a collector that is away holds nothing up.
func spanExporter(ctx context.Context, o Options, env standard) (sdktrace.SpanExporter, error) {
	if env.off(signalTraces) || o.OTLPEndpoint == "" && !env.addressed(signalTraces) {
		return nil, nil //nolint:nilnil // none is sent
	}
	if o.OTLPEndpoint != "" {
		return otlptracegrpc.New(ctx, otlptracegrpc.WithEndpointURL(o.OTLPEndpoint))
	}
	protocol, err := env.protocol(signalTraces)
	if err != nil {
		return nil, err
	}
	if protocol == protocolHTTP {
		return otlptracehttp.New(ctx)
	}
	return otlptracegrpc.New(ctx)
}

// metricExporter makes the exporter of metrics; nil if none are sent.
func metricExporter(ctx context.Context, o Options, env standard) (metric.Exporter, error) {
	byOptions := o.OTLPEndpoint != "" && o.OTLPMetrics
	if env.off(signalMetrics) || !byOptions && !env.addressed(signalMetrics) {
		return nil, nil //nolint:nilnil // none is sent
	}
	if byOptions {
		return otlpmetricgrpc.New(ctx, otlpmetricgrpc.WithEndpointURL(o.OTLPEndpoint))
	}
	protocol, err := env.protocol(signalMetrics)
	if err != nil {
		return nil, err
	}
	if protocol == protocolHTTP {
		return otlpmetrichttp.New(ctx)
	}
	return otlpmetricgrpc.New(ctx)
}

// about describes the process: its service and version, and what OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME add or replace.
func about(ctx context.Context, o Options) (*resource.Resource, error) {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	r, err := resource.New(ctx,
		resource.WithAttributes(attribute.String("service.namespace", "outbound"), attribute.String("service.name", o.Service),
			attribute.String("service.version", o.Version),
			attribute.String("service.instance.id", fmt.Sprintf("%s-%d", host, os.Getpid()))),
		resource.WithFromEnv())
	if err != nil && !errors.Is(err, resource.ErrPartialResource) {
		return nil, fmt.Errorf("read OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	return r, nil
}

// export has spans and metrics sent. Without an exporter spans get ids and nothing else.
func (t *Telemetry) export(ctx context.Context, o Options, env standard) error {
	r, err := about(ctx, o)
	if err != nil {
		return err
	}
	if t.exporter, err = spanExporter(ctx, o, env); err != nil {
		return fmt.Errorf("send traces: %w", err)
	}
	options := []sdktrace.TracerProviderOption{sdktrace.WithSampler(sdktrace.NeverSample())}
	if t.exporter != nil {
		options = []sdktrace.TracerProviderOption{sdktrace.WithBatcher(t.exporter), sdktrace.WithResource(r)}
		if env("OTEL_TRACES_SAMPLER") == "" { // which the provider reads
			options = append(options, sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(1/float64(max(o.TraceOneIn, 1))))))
		}
	}
	t.provider = sdktrace.NewTracerProvider(options...)
	t.Tracer = t.tracers().Tracer(tracerName)
	exporter, err := metricExporter(ctx, o, env)
	if err != nil {
		return fmt.Errorf("send metrics: %w", err)
	}
	if exporter != nil {
		// The metrics of /metrics are sent, by the same names. OTEL_METRIC_EXPORT_INTERVAL is read by the reader; a minute by default.
		t.metrics = metric.NewMeterProvider(metric.WithResource(r), metric.WithReader(metric.NewPeriodicReader(exporter,
			metric.WithProducer(bridge.NewMetricProducer(bridge.WithGatherer(t.Registry))))))
	}
	return nil
}
