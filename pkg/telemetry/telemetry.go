// Package telemetry sets up what a process tells about itself: log lines, metrics and traces.
package telemetry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/outbound-events/outbound/pkg/process"
)

// Options say what a process tells about itself and to whom.
type Options struct {
	// LogFormat is json or text.
	LogFormat string `yaml:"logFormat"`
	// LogLevel is debug, info, warn or error.
	LogLevel string `yaml:"logLevel"`
	// OTLPEndpoint takes traces over OTLP gRPC, e.g. http://127.0.0.1:4317, or https:// for TLS. Empty: no trace leaves the process.
	OTLPEndpoint string `yaml:"otlpEndpoint"`
	// OTLPMetrics has metrics sent to OTLPEndpoint too, each minute.
	OTLPMetrics bool `yaml:"otlpMetrics"`
	// TraceOneIn keeps one in this many of the traces that begin here; 0 and 1 keep all. A trace begun elsewhere is kept as
	// that side decided.
	TraceOneIn int `yaml:"traceOneIn"`
	// MaxRecipientSeries is how many recipients, and how many appliances, have series of their own in metrics. The other recipients share
	// those of OtherSeries.
	MaxRecipientSeries int `yaml:"maxRecipientSeries"`
	// Metrics is the address of a listener that answers /metrics alone, host:port. Other listeners then don't. Port 0 picks one. Empty:
	// /metrics is answered beside /healthz.
	Metrics string `yaml:"metrics"`
	// MetricsTokenFile holds the token that /metrics asks for, as a bearer. Empty: none; beside /healthz, /metrics is then answered on
	// loopback alone.
	MetricsTokenFile string `yaml:"metricsTokenFile"`

	// Service is the process's name, e.g. http-sender.
	Service string `yaml:"-"`
	// Version of the process.
	Version string `yaml:"-"`
	// LogTo takes the log lines. Nil: stderr.
	LogTo io.Writer `yaml:"-"`
}

// defaultRecipientSeries keeps a process with all recipients below about a hundred thousand series.
const defaultRecipientSeries = 1000

// maxRecipientSeries is more series than a Prometheus server takes from one process with ease.
const maxRecipientSeries = 100_000

// DefaultOptions log as text at level info and send no traces.
func DefaultOptions() Options {
	return Options{LogFormat: "text", LogLevel: "info", MaxRecipientSeries: defaultRecipientSeries}
}

// Validate reports every fault at once.
func (o Options) Validate() error {
	var f process.Faults
	if o.LogFormat != "json" && o.LogFormat != "text" && o.LogFormat != "" {
		f.Add("logFormat", "%q is not a format: use json or text", o.LogFormat)
	}
	if _, err := level(o.LogLevel); err != nil {
		f.Add("logLevel", "%s", err)
	}
	if u, err := url.Parse(o.OTLPEndpoint); o.OTLPEndpoint != "" &&
		(err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https")) {
		f.Add("otlpEndpoint", "%q is not an address: use http://host:4317 or https://host:4317", o.OTLPEndpoint)
	}
	if o.TraceOneIn < 0 {
		f.Add("traceOneIn", "is %d: use 1 or more", o.TraceOneIn)
	}
	if o.MaxRecipientSeries < 0 || o.MaxRecipientSeries > maxRecipientSeries {
		f.Add("maxRecipientSeries", "%d is out of range: use 0 to %d", o.MaxRecipientSeries, maxRecipientSeries)
	}
	if o.OTLPMetrics && o.OTLPEndpoint == "" {
		f.Add("otlpMetrics", "is set without otlpEndpoint: set otlpEndpoint to where metrics are sent, e.g. http://127.0.0.1:4317")
	}
	if err := checkMetricsAddress(o.Metrics); err != nil {
		f.Add("metrics", "%v", err)
	}
	return f.Err()
}

// Telemetry is what a process tells about itself. Shutdown it last.
type Telemetry struct {
	// Logger is also the process's default, for libraries that log there.
	Logger *slog.Logger
	// Registry takes metrics; names begin with MetricPrefix.
	Registry *prometheus.Registry
	// Tracer makes spans. It is cheap without an endpoint: then spans have ids, for traceparent, and hold nothing.
	Tracer trace.Tracer
	// MaxSeries is how many recipients, and how many appliances, have series of their own.
	MaxSeries int

	scrape   *scrape
	provider *sdktrace.TracerProvider
	// exporter is nil without an endpoint.
	exporter sdktrace.SpanExporter
	// metrics sends metrics; nil if none are sent. As an interface, for with the type of the library each package that names a Telemetry
	// compiles the library's generic code again.
	metrics shutdowner
}

type shutdowner interface {
	Shutdown(ctx context.Context) error
}

// tracerName tells our spans from those of libraries.
const tracerName = "github.com/outbound-events/outbound"

// Setup makes the process's logger, metric registry and tracer, and makes logger, tracer and W3C trace propagation the
// process's defaults, which the gRPC and NATS doors use.
func Setup(ctx context.Context, o Options) (*Telemetry, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("set up telemetry: %w", err)
	}
	logger, err := NewLogger(o)
	if err != nil {
		return nil, err
	}
	t := &Telemetry{Logger: logger, Registry: registry(o), MaxSeries: o.MaxRecipientSeries}
	if t.scrape, err = openScrape(o, t.prometheus()); err != nil {
		return nil, err
	}
	if err := t.export(ctx, o, os.Getenv); err != nil {
		return nil, errors.Join(err, t.scrape.close())
	}
	slog.SetDefault(logger)
	otel.SetTracerProvider(t.tracers())
	otel.SetTextMapPropagator(propagation.TraceContext{})
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		logger.Warn("telemetry reported an error", KeyError, err.Error())
	}))
	return t, nil
}

// NewLogger makes a logger of its own, without touching the process's default.
func NewLogger(o Options) (*slog.Logger, error) {
	lv, err := level(o.LogLevel)
	if err != nil {
		return nil, err
	}
	w := o.LogTo
	if w == nil {
		w = os.Stderr
	}
	options := &slog.HandlerOptions{Level: lv}
	var h slog.Handler = slog.NewTextHandler(w, options)
	if o.LogFormat == "json" {
		h = slog.NewJSONHandler(w, options)
	}
	h = redactor{h}
	if o.Service != "" {
		h = h.WithAttrs([]slog.Attr{slog.String(KeyService, o.Service)})
	}
	return slog.New(h), nil
}

func level(name string) (slog.Level, error) {
	switch name {
	case "debug":
		return slog.LevelDebug, nil
	case "info", "":
		return slog.LevelInfo, nil
	case "warn":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	default:
		return 0, fmt.Errorf("%q is not a level: use debug, info, warn or error", name)
	}
}

// tracers makes tracers for the doors and the libraries.
func (t *Telemetry) tracers() trace.TracerProvider {
	if t.exporter == nil {
		return passingProvider{next: t.provider}
	}
	return t.provider
}

// registry holds the metrics of the Go runtime, the process and the build from the start.
func registry(o Options) *prometheus.Registry {
	r := prometheus.NewRegistry()
	about := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: MetricPrefix + "build_info", Help: "1, with the service and its version.",
		ConstLabels: prometheus.Labels{KeyService: o.Service, KeyVersion: o.Version},
	})
	about.Set(1)
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), about)
	return r
}

// shutdownTimeout bounds the sending of the last spans.
const shutdownTimeout = 5 * time.Second

// Shutdown sends what is left, for at most 5 s and until ctx ends. The process's own context has ended by then: give another.
func (t *Telemetry) Shutdown(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, shutdownTimeout)
	defer cancel()
	closed := t.closeScrape(ctx)
	if t.metrics != nil {
		if err := t.metrics.Shutdown(ctx); err != nil {
			closed = errors.Join(closed, fmt.Errorf("send the last metrics: %w", err))
		}
	}
	err := t.provider.Shutdown(ctx)
	if err == nil {
		return closed
	}
	if t.exporter != nil {
		// The provider leaves an export that goes on trying behind; this ends it.
		err = errors.Join(err, t.exporter.Shutdown(ctx))
	}
	return errors.Join(closed, fmt.Errorf("send the last traces: %w", err))
}
