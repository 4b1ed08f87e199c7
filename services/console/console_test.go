package console_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/outbound-events/outbound/pkg/porttest"
	"github.com/outbound-events/outbound/pkg/process"
	"github.com/outbound-events/outbound/pkg/rpc"
	"github.com/outbound-events/outbound/pkg/waittest"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
	"github.com/outbound-events/outbound/services/console"
)

func TestMain(m *testing.M) { waittest.VerifyTestMain(m) }

const adminToken = "admin-token"

// Three fake services that respond with their names, each on a separate gRPC server.
type (
	configService struct {
		outboundv1.UnimplementedRecipientServiceServer
		outboundv1.UnimplementedSettingsServiceServer
		// mask is the update mask of the last update.
		mask []string
	}
	ingestService struct {
		outboundv1.UnimplementedEventServiceServer
		// json is the body of the last event.
		json []byte
	}
	historyService struct {
		outboundv1.UnimplementedEventServiceServer
		outboundv1.UnimplementedDeliveryServiceServer
		outboundv1.UnimplementedStatusServiceServer
	}
)

func (c *configService) GetRecipient(_ context.Context, r *outboundv1.GetRecipientRequest) (*outboundv1.Recipient, error) {
	if r.GetId() != "crm" {
		return nil, rpc.NotFound("recipient", r.GetId())
	}
	return &outboundv1.Recipient{Id: "crm", DisplayName: "CRM", Etag: "7"}, nil
}

func (c *configService) UpdateRecipient(_ context.Context, r *outboundv1.UpdateRecipientRequest) (*outboundv1.Recipient, error) {
	c.mask = r.GetUpdateMask().GetPaths()
	return r.GetRecipient(), nil
}

func (c *configService) CreateRecipient(context.Context, *outboundv1.CreateRecipientRequest) (*outboundv1.Recipient, error) {
	return nil, rpc.AlreadyExists("displayName", "CRM", "choose another")
}

func (i *ingestService) PublishEvent(_ context.Context, r *outboundv1.PublishEventRequest) (*outboundv1.PublishEventResponse, error) {
	i.json = r.GetJson()
	if len(i.json) > 256<<10 {
		return nil, rpc.TooLarge("", "too large")
	}
	return &outboundv1.PublishEventResponse{EventId: "a1~e-1", Sequence: 9}, nil
}

func (historyService) GetEvent(_ context.Context, r *outboundv1.GetEventRequest) (*outboundv1.Event, error) {
	return &outboundv1.Event{EventId: r.GetEventId()}, nil
}

func (historyService) RetryDeliveries(_ context.Context,
	r *outboundv1.RetryDeliveriesRequest) (*outboundv1.RetryDeliveriesResponse, error) {
	return &outboundv1.RetryDeliveriesResponse{ReplayId: "r", Queued: int32(len(r.GetDeliveries()))}, nil
}

func (historyService) GetStatus(context.Context, *outboundv1.GetStatusRequest) (*outboundv1.Status, error) {
	return nil, status.Error(codes.ResourceExhausted, "full")
}

// fixture is a console on a real port with its fake services.
type fixture struct {
	t      *testing.T
	url    string
	config *configService
	ingest *ingestService
	health *health.Server
}

func open(t *testing.T, change ...func(*console.Deps)) *fixture {
	t.Helper()
	h := &fixture{t: t, config: &configService{}, ingest: &ingestService{}, health: health.NewServer()}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h.url = "http://" + l.Addr().String()
	deps := console.Deps{
		Config: h.serve(health.NewServer(), func(s *grpc.Server) {
			outboundv1.RegisterRecipientServiceServer(s, h.config)
			outboundv1.RegisterSettingsServiceServer(s, h.config)
		}),
		Ingest: h.serve(health.NewServer(), func(s *grpc.Server) { outboundv1.RegisterEventServiceServer(s, h.ingest) }),
		History: h.serve(h.health, func(s *grpc.Server) {
			outboundv1.RegisterEventServiceServer(s, historyService{})
			outboundv1.RegisterDeliveryServiceServer(s, historyService{})
			outboundv1.RegisterStatusServiceServer(s, historyService{})
		}),
		Listener: l,
		Ops:      process.Ops{Metrics: http.NotFoundHandler()},
	}
	for _, f := range change {
		f(&deps)
	}
	c, err := console.New(console.DefaultOptions(), deps)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return h
}

func (h *fixture) serve(hs *health.Server, register func(*grpc.Server)) *grpc.ClientConn {
	h.t.Helper()
	s := rpc.NewServer(rpc.ServerOptions{Authenticator: rpc.Tokens{Admin: adminToken}, Health: hs})
	register(s)
	local := rpc.InProcess(s)
	conn, err := local.Dial("")
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() {
		_ = conn.Close()
		s.Stop()
		_ = local.Close()
	})
	return conn
}

// call makes a request with the admin token and returns the status and the response.
func (h *fixture) call(method, path, body string, header ...string) (*http.Response, map[string]any) {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.t.Context(), method, h.url+path, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+adminToken)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	var out map[string]any
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
		if err := json.Unmarshal(raw, &out); err != nil {
			h.t.Fatalf("%s %s: %v in %s", method, path, err, raw)
		}
	} else {
		out = map[string]any{"text": string(raw)}
	}
	return resp, out
}

func TestMethodsAreRoutedToTheirService(t *testing.T) {
	h := open(t)
	for _, x := range []struct {
		method, path, body string
		status             int
		key                string
		want               any
	}{
		{"GET", "/v1/recipients/crm", "", 200, "displayName", "CRM"},
		{"GET", "/v1/recipients/none", "", 404, "code", 5.0},
		{"POST", "/v1/recipients", `{"displayName":"CRM","eventTypes":["a"],"http":{"url":"https://x.example"}}`, 409, "code", 6.0},
		{"POST", "/v1/recipients", `{"displayname":"CRM"}`, 400, "code", 3.0},
		{"PATCH", "/v1/recipients/crm", `{"http":{"url":"https://x.example"},"enabled":false}`, 200, "id", "crm"},
		{"POST", "/v1/events", `{"id":"e-1"}`, 200, "eventId", "a1~e-1"},
		{"GET", "/v1/events/a1~e-1", "", 200, "eventId", "a1~e-1"},
		{"GET", "/v1/events", "", 501, "code", 12.0},
		{"POST", "/v1/deliveries:retry", `{"deliveries":[{"recipientId":"r","eventId":"a~1"}]}`, 200, "queued", 1.0},
		{"GET", "/v1/deliveries?state=NONSENSE", "", 400, "code", 3.0},
		{"GET", "/v1/status", "", 429, "code", 8.0},
		{"GET", "/v1/nothing", "", 404, "code", 5.0},
		{"DELETE", "/v1/status", "", 405, "code", 12.0},
		{"POST", "/", "", 405, "code", 12.0},
		{"DELETE", "/openapi.json", "", 405, "code", 12.0},
		{"POST", "/healthz", "", 405, "code", 12.0},
		{"GET", "/wp-admin", "", 404, "code", 5.0},
	} {
		resp, got := h.call(x.method, x.path, x.body)
		if resp.StatusCode != x.status || got[x.key] != x.want {
			t.Errorf("%s %s: %d %v, want %d with %s=%v", x.method, x.path, resp.StatusCode, got, x.status, x.key, x.want)
		}
	}
	if got := strings.Join(h.config.mask, " "); got != "enabled http.url" {
		t.Errorf("an update without a mask changes %q, want the fields of its body", got)
	}
}

func TestRESTRequiresAToken(t *testing.T) {
	h := open(t)
	for _, header := range []string{"", "Bearer wrong", "Basic YTpi"} {
		for _, path := range []string{"/v1/recipients/crm", "/v1/status"} {
			resp, got := h.call("GET", path, "", "Authorization", header)
			if resp.StatusCode != http.StatusUnauthorized || got["code"] != 16.0 {
				t.Errorf("%s with %q: %d %v", path, header, resp.StatusCode, got)
			}
		}
	}
	if resp, _ := h.call("POST", "/v1/events", "{}", "Authorization", "Bearer wrong"); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("an event with a wrong token: %d", resp.StatusCode)
	}
}

func TestEventsReachIngestUnchanged(t *testing.T) {
	h := open(t)
	const event = `{ "id":"e-1", "data":{"n": 12345678901234567890.10} }`
	h.call("POST", "/v1/events", event, "Content-Type", "application/cloudevents+json")
	if string(h.ingest.json) != event {
		t.Errorf("intake got %s", h.ingest.json)
	}
	h.call("POST", "/v1/events", `{"a":1}`, "Content-Type", "application/json", "ce-id", "e-2", "ce-source", "a1")
	if !bytes.Contains(h.ingest.json, []byte(`"id":"e-2"`)) || !bytes.Contains(h.ingest.json, []byte(`"data":{"a":1}`)) {
		t.Errorf("intake got %s of an event in binary mode", h.ingest.json)
	}
}

// A waiting call would delay the shutdown of the process and the retry of its caller.
func TestEventsAreRefusedImmediatelyWhileIngestIsUnavailable(t *testing.T) {
	h := open(t, func(d *console.Deps) {
		conn, err := rpc.Dial(porttest.Address(t), "")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		d.Ingest = conn
	})
	resp, got := h.call("POST", "/v1/events", `{"id":"e-1"}`, "Content-Type", "application/cloudevents+json")
	text, _ := got["message"].(string)
	if resp.StatusCode != http.StatusServiceUnavailable || got["code"] != 14.0 || strings.Contains(text, "127.0.0.1") {
		t.Errorf("%d %v, want 503 and code 14", resp.StatusCode, got)
	}
}

func TestOversizedBodiesAreRefused(t *testing.T) {
	h := open(t)
	resp, got := h.call("POST", "/v1/events", strings.Repeat("x", 300<<10))
	if resp.StatusCode != http.StatusRequestEntityTooLarge || got["code"] != 11.0 {
		t.Errorf("event: %d %v", resp.StatusCode, got)
	}
	resp, got = h.call("POST", "/v1/recipients", strings.Repeat("x", 1<<20+1))
	if resp.StatusCode != http.StatusRequestEntityTooLarge || got["message"] != "the request's body is larger than 1048576 bytes" {
		t.Errorf("recipient: %d %v", resp.StatusCode, got)
	}
}

func TestReadinessFollowsTheNeighbours(t *testing.T) {
	h := open(t)
	if resp, got := h.call("GET", "/readyz", ""); resp.StatusCode != http.StatusOK {
		t.Errorf("%d %v", resp.StatusCode, got)
	}
	h.health.SetServingStatus("", healthpb.HealthCheckResponse_NOT_SERVING)
	resp, got := h.call("GET", "/readyz", "")
	if text := got["text"].(string); resp.StatusCode != http.StatusServiceUnavailable ||
		!strings.Contains(text, "history: reports NOT_SERVING") || !strings.Contains(text, "ingest: ok") {
		t.Errorf("%d %v", resp.StatusCode, got)
	}
	if resp, _ := h.call("GET", "/healthz", ""); resp.StatusCode != http.StatusOK {
		t.Errorf("the process lives all the same: %d", resp.StatusCode)
	}
}

func TestResponsesHaveSecurityHeaders(t *testing.T) {
	h := open(t)
	for _, path := range []string{"/", "/openapi.json", "/v1/recipients/crm", "/v1/nothing", "/healthz"} {
		resp, _ := h.call("GET", path, "")
		referrer := "no-referrer"
		if path == "/" {
			referrer = "same-origin"
		}
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": referrer, "Cache-Control": "no-store",
		} {
			if got := resp.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", path, name, got, want)
			}
		}
		if !strings.HasPrefix(resp.Header.Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%s has no policy", path)
		}
	}
}

// TestDocumentedPathsAreServed verifies that the gateway serves each operation of the document.
func TestDocumentedPathsAreServed(t *testing.T) {
	h := open(t)
	_, doc := h.call("GET", "/openapi.json", "")
	paths := doc["paths"].(map[string]any)
	if len(paths) < 18 || doc["openapi"] != "3.1.0" {
		t.Fatalf("%v with %d paths", doc["openapi"], len(paths))
	}
	parameter := regexp.MustCompile(`\{[^}]*\}`)
	for path, item := range paths {
		for method := range item.(map[string]any) {
			resp, got := h.call(strings.ToUpper(method), parameter.ReplaceAllString(path, "x"), "{}")
			text, _ := got["message"].(string)
			if resp.StatusCode == http.StatusMethodNotAllowed || strings.HasPrefix(text, "unknown path") {
				t.Errorf("%s %s: %d %v", method, path, resp.StatusCode, got)
			}
		}
	}
}

func TestOptionsAreValidated(t *testing.T) {
	for _, n := range []int64{0, 1 << 30} {
		o := console.DefaultOptions()
		o.MaxBody = n
		if err := o.Validate(); err == nil || !strings.HasPrefix(err.Error(), "maxBody: ") {
			t.Errorf("%d: %v", n, err)
		}
	}
	if _, err := console.New(console.DefaultOptions(), console.Deps{}); err == nil || errors.Is(err, context.Canceled) {
		t.Error("New accepts empty dependencies")
	}
}
