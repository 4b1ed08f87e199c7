package telemetry_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"

	"github.com/outbound-events/outbound/pkg/telemetry"
	"github.com/outbound-events/outbound/pkg/waittest"
)

func TestMain(m *testing.M) { waittest.VerifyTestMain(m) }

func setup(t *testing.T, change func(*telemetry.Options)) *telemetry.Telemetry {
	t.Helper()
	o := telemetry.DefaultOptions()
	o.Service, o.Version, o.LogTo = "ingest", "1.2.3", &bytes.Buffer{}
	change(&o)
	tel, err := telemetry.Setup(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tel.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return tel
}

func scrape(tel *telemetry.Telemetry) string {
	w := httptest.NewRecorder()
	tel.MetricsHandler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return w.Body.String()
}

// holder logs itself with a secret inside.
type holder struct{}

func (holder) LogValue() slog.Value { return slog.GroupValue(slog.String("api_key", "hunter2")) }

func TestLogLinesHideSecretsWhateverTheirKeysSpelling(t *testing.T) {
	for _, format := range []string{"json", "text"} {
		var log bytes.Buffer
		tel := setup(t, func(o *telemetry.Options) { o.LogFormat, o.LogTo = format, &log })
		tel.Logger.Info("x", "password", "hunter2", "smtpPassword", "hunter2", "Authorization", "hunter2", "api_token", "hunter2",
			slog.Group("http", "client_secret", "hunter2"), "holder", holder{}, telemetry.KeyRecipient, "crm")
		tel.Logger.With("token", "hunter2").WithGroup("g").Info("y")
		slog.Info("from a library", "set-cookie", "hunter2")
		text := log.String()
		if strings.Contains(text, "hunter2") || strings.Count(text, telemetry.Redacted) != 8 {
			t.Errorf("%s: secrets are not hidden:\n%s", format, text)
		}
		if !strings.Contains(text, "crm") || strings.Count(text, "ingest") != 3 || !strings.Contains(text, "from a library") {
			t.Errorf("%s: line lacks recipient or service, or a library's line:\n%s", format, text)
		}
	}
}

func TestTheLevelIsKept(t *testing.T) {
	var log bytes.Buffer
	tel := setup(t, func(o *telemetry.Options) { o.LogLevel, o.LogTo = "warn", &log })
	tel.Logger.Info("quiet")
	tel.Logger.Warn("loud")
	if s := log.String(); strings.Contains(s, "quiet") || !strings.Contains(s, "loud") {
		t.Errorf("logged:\n%s", s)
	}
}

func TestWrongOptionsAreNamedAllAtOnce(t *testing.T) {
	err := telemetry.Options{LogFormat: "xml", LogLevel: "loud", OTLPEndpoint: "collector:4317", TraceOneIn: -1}.Validate()
	if err == nil {
		t.Fatal("wrong options pass")
	}
	for _, want := range []string{"logFormat: \"xml\"", "logLevel: \"loud\"", "otlpEndpoint: \"collector:4317\"", "traceOneIn: is -1"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q lacks %q", err, want)
		}
	}
	if err := telemetry.DefaultOptions().Validate(); err != nil {
		t.Errorf("defaults: %v", err)
	}
}

func TestMetricsAreSharedByName(t *testing.T) {
	tel := setup(t, func(*telemetry.Options) {})
	tel.Counter("events_total", "Events.", "decision").With("accepted").Inc()
	tel.Counter("events_total", "Events.", "decision").With("accepted").Add(2)
	tel.Gauge("waiting", "Waiting.", "recipient").With("crm").Set(5)
	tel.Gauge("waiting", "Waiting.", "recipient").With("crm").Add(-1)
	tel.Gauge("waiting", "Waiting.", "recipient").With("gone").Set(1)
	tel.Gauge("waiting", "Waiting.", "recipient").Forget("gone")
	tel.Timer("answer_seconds", "Answers.", "code").With("200").Observe(20 * time.Millisecond)
	text := scrape(tel)
	for _, want := range []string{
		`outbound_events_total{decision="accepted"} 3`, `outbound_waiting{recipient="crm"} 4`, `outbound_answer_seconds_count{code="200"} 1`,
		`outbound_answer_seconds_bucket{code="200",le="0.025"} 1`, `outbound_build_info{service="ingest",version="1.2.3"} 1`, "go_goroutines",
		"process_open_fds",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("metrics lack %s", want)
		}
	}
	if strings.Contains(text, "gone") {
		t.Error("a forgotten level is still there")
	}
}

func TestAMetricThatContradictsAnotherStopsNothing(t *testing.T) {
	var log bytes.Buffer
	tel := setup(t, func(o *telemetry.Options) { o.LogTo = &log })
	tel.Counter("events_total", "Events.").With().Inc()
	tel.Gauge("events_total", "Something else.").With().Set(9)
	if text := scrape(tel); !strings.Contains(text, "outbound_events_total 1") || !strings.Contains(log.String(), "metric not registered") {
		t.Errorf("metrics or log do not show it:\n%s", log.String())
	}
}

// spans is a collector that takes traces.
type spans struct {
	collector.UnimplementedTraceServiceServer
	got chan *collector.ExportTraceServiceRequest
}

func (s *spans) Export(_ context.Context, r *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	s.got <- r
	return &collector.ExportTraceServiceResponse{}, nil
}

func TestSpansReachTheCollectorWithTheirParentAndAttributes(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	c := &spans{got: make(chan *collector.ExportTraceServiceRequest, 1)}
	collector.RegisterTraceServiceServer(s, c)
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	defer func() { s.Stop(); <-served }()

	tel, err := telemetry.Setup(t.Context(), telemetry.Options{Service: "ingest", OTLPEndpoint: "http://" + l.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	ctx := telemetry.Continue(t.Context(), "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	ctx, span := tel.Start(ctx, "attempt delivery")
	if !span.Recording() || telemetry.TraceID(ctx) != "0af7651916cd43dd8448eb211c80319c" {
		t.Errorf("span is recording: %v, of trace %s", span.Recording(), telemetry.TraceID(ctx))
	}
	telemetry.SpanFrom(ctx).Set(slog.String(telemetry.KeyRecipient, "crm"), slog.Int(telemetry.KeyAttempt, 2),
		slog.String("password", "hunter2"))
	span.Fail("connect")
	span.End()
	if err := tel.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := (<-c.got).String()
	for _, want := range []string{"attempt delivery", "crm", "service.name", telemetry.Redacted, "connect"} {
		if !strings.Contains(got, want) {
			t.Errorf("span lacks %s: %s", want, got)
		}
	}
	if strings.Contains(got, "hunter2") {
		t.Error("span holds a secret")
	}
}

func TestACollectorThatIsAwayHoldsNothingUp(t *testing.T) {
	began := time.Now()
	tel, err := telemetry.Setup(t.Context(), telemetry.Options{OTLPEndpoint: "http://127.0.0.1:1"})
	if err != nil {
		t.Fatalf("after %s: %v", time.Since(began), err)
	}
	_, span := tel.Start(t.Context(), "x")
	span.End()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := tel.Shutdown(ctx); err == nil {
		t.Error("the loss of the last spans was not told")
	}
}

func TestWithoutACollectorSpansHaveIdsAndNothingElse(t *testing.T) {
	tel := setup(t, func(*telemetry.Options) {})
	ctx, span := tel.Start(t.Context(), "x")
	defer span.End()
	if span.Recording() || telemetry.TraceID(ctx) == "" || len(telemetry.TraceParent(ctx)) != 55 {
		t.Errorf("recording %v, traceparent %q", span.Recording(), telemetry.TraceParent(ctx))
	}
	if len(otel.GetTextMapPropagator().Fields()) == 0 {
		t.Error("the process has no propagation")
	}
	if telemetry.TraceID(telemetry.Continue(t.Context(), "nonsense")) != "" {
		t.Error("a malformed traceparent was taken")
	}
}

func BenchmarkSpanWithoutCollector(b *testing.B) {
	tel, err := telemetry.Setup(b.Context(), telemetry.Options{})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		_, span := tel.Start(b.Context(), "attempt delivery")
		span.End()
	}
}

func TestWithoutACollectorTheFlagsOfATraceGoOnAsTheyCame(t *testing.T) {
	tel := setup(t, func(*telemetry.Options) {})
	for _, flags := range []string{"00", "01", "02", "03"} {
		came := "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-" + flags
		ctx, span := tel.Start(telemetry.Continue(t.Context(), came), "x")
		ctx, inner := otel.Tracer("a library").Start(ctx, "y")
		got := telemetry.TraceParent(ctx)
		if got[:36] != came[:36] || got[36:52] == came[36:52] || got[53:] != flags {
			t.Errorf("%s goes on as %s, want the same trace and flags and a span of its own", came, got)
		}
		if span.Recording() || inner.IsRecording() {
			t.Error("the span is recorded")
		}
		inner.End()
		span.End()
	}
}
