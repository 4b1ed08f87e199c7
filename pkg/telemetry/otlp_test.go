package telemetry_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	metrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/outbound-events/outbound/pkg/telemetry"
)

// meters is a collector that takes metrics.
type meters struct {
	metrics.UnimplementedMetricsServiceServer
	mu  sync.Mutex
	got strings.Builder
}

func (m *meters) Export(_ context.Context, r *metrics.ExportMetricsServiceRequest) (*metrics.ExportMetricsServiceResponse, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.got.WriteString(r.String())
	return &metrics.ExportMetricsServiceResponse{}, nil
}

func (m *meters) text() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.got.String()
}

// serveGRPC serves the collector over gRPC and returns its URL.
func (m *meters) serveGRPC(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	metrics.RegisterMetricsServiceServer(s, m)
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() { s.Stop(); <-served })
	return "http://" + l.Addr().String()
}

// ServeHTTP implements http.Handler: OTLP/HTTP in protobuf.
func (m *meters) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	var x metrics.ExportMetricsServiceRequest
	if body, err := io.ReadAll(r.Body); err == nil && proto.Unmarshal(body, &x) == nil && r.URL.Path == "/v1/metrics" {
		_, _ = m.Export(r.Context(), &x)
	}
}

// counted sets telemetry up, counts, and shuts it down, which sends what is left.
func counted(t *testing.T, o telemetry.Options) {
	t.Helper()
	o.Service, o.Version, o.LogTo = "ingest", "1.2.3", io.Discard
	tel, err := telemetry.Setup(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	tel.Counter("events_total", "Events.", "decision").With("accepted").Add(3)
	tel.Timer("answer_seconds", "Answers.").With().Observe(20 * time.Millisecond)
	if err := tel.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestMetricsReachACollectorByOTLP(t *testing.T) {
	want := []string{"outbound_events_total", "accepted", "outbound_answer_seconds", "outbound_build_info", "service.version", "1.2.3"}
	check := func(t *testing.T, got string, want ...string) {
		t.Helper()
		for _, w := range want {
			if !strings.Contains(got, w) {
				t.Errorf("what the collector got lacks %s", w)
			}
		}
	}
	t.Run("by options", func(t *testing.T) {
		var m meters
		counted(t, telemetry.Options{OTLPEndpoint: m.serveGRPC(t), OTLPMetrics: true})
		check(t, m.text(), want...)
	})
	t.Run("by the standard variables", func(t *testing.T) {
		var m meters
		t.Setenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", m.serveGRPC(t))
		t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=plant-7")
		t.Setenv("OTEL_SERVICE_NAME", "renamed")
		counted(t, telemetry.Options{})
		check(t, m.text(), append(want, "plant-7", "renamed")...)
	})
	t.Run("over HTTP", func(t *testing.T) {
		var m meters
		s := httptest.NewServer(&m)
		defer s.Close()
		t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", s.URL)
		t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
		counted(t, telemetry.Options{})
		check(t, m.text(), want...)
	})
	for name, value := range map[string]string{"OTEL_METRICS_EXPORTER": "none", "OTEL_SDK_DISABLED": "true"} {
		t.Run(name, func(t *testing.T) {
			var m meters
			t.Setenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", m.serveGRPC(t))
			t.Setenv(name, value)
			counted(t, telemetry.Options{})
			if got := m.text(); got != "" {
				t.Errorf("metrics were sent: %.200s", got)
			}
		})
	}
}

func TestAnUnknownProtocolIsNamed(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")
	_, err := telemetry.Setup(t.Context(), telemetry.Options{LogTo: io.Discard})
	if err == nil || !strings.Contains(err.Error(), `OTEL_EXPORTER_OTLP_PROTOCOL: "http/json" is not supported`) {
		t.Errorf("setup says %v", err)
	}
}

func TestHistogramsAreNativeTooAndHaveExemplars(t *testing.T) {
	tel := setup(t, func(*telemetry.Options) {})
	ctx := telemetry.Continue(t.Context(), "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	unsampled := telemetry.Continue(t.Context(), "00-1af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")
	tel.Timer("answer_seconds", "Answers.").With().ObserveIn(ctx, 20*time.Millisecond)
	tel.LongTimer("latency_seconds", "Latency.").With().ObserveIn(unsampled, 20*time.Millisecond)

	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/metrics", nil)
	r.Header.Set("Accept", "application/openmetrics-text;version=1.0.0")
	tel.MetricsHandler().ServeHTTP(w, r)
	text := w.Body.String()
	if !strings.Contains(text, `# {trace_id="0af7651916cd43dd8448eb211c80319c"} 0.02`) || strings.Contains(text, "1af7651916cd43dd") {
		t.Errorf("exemplars are not those of the sampled trace alone:\n%s", text)
	}
	all, err := tel.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	native := 0
	for _, family := range all {
		for _, m := range family.GetMetric() {
			if h := m.GetHistogram(); h != nil && h.Schema != nil && strings.HasPrefix(family.GetName(), "outbound_") {
				native++
			}
		}
	}
	if native != 2 {
		t.Errorf("%d histograms have native buckets, want 2", native)
	}
}

func TestAReportIsReadWhenMetricsAre(t *testing.T) {
	tel := setup(t, func(*telemetry.Options) {})
	d := telemetry.Describe("waiting", "Waiting.", "recipient")
	read := 0
	tel.Report(func(put telemetry.Put) {
		read++
		put(d, float64(read), "crm")
		put(d, 99, "crm") // a second value for the same labels
		put(d, 7, "broken \xff")
		put(d, 7, "two", "labels")
	})
	for i, want := range []string{`outbound_waiting{recipient="crm"} 1`, `outbound_waiting{recipient="crm"} 2`} {
		text := scrape(tel)
		if !strings.Contains(text, want) || strings.Count(text, "outbound_waiting{") != 2 {
			t.Errorf("scrape %d lacks %s or has other values:\n%s", i, want, text)
		}
	}
}
