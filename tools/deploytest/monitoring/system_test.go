package monitoring_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// root is the root of the repository.
const root = "../../.."

// limit ends a test that hangs.
const limit = 5 * time.Minute

// system is `outbound run` with a receiver that accepts and one that nobody listens at.
type system struct {
	t           *testing.T
	http, token string
}

// binary builds outbound, unless OUTBOUND_E2E_BIN names the folder of the binaries.
func binary(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv("OUTBOUND_E2E_BIN"); dir != "" {
		return filepath.Join(dir, "outbound")
	}
	path := filepath.Join(t.TempDir(), "outbound")
	build := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", path, "./services/cmd/outbound")
	build.Dir, build.Env = root, append(os.Environ(), "CGO_ENABLED=0", "GOWORK=")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build outbound: %v\n%s", err, out)
	}
	return path
}

// start builds and starts a system and has it do everything that there are metrics of.
func start(t *testing.T) *system {
	t.Helper()
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	ctx, cancel := context.WithCancel(context.Background())
	var log bytes.Buffer
	run := exec.CommandContext(ctx, binary(t), "run", "--data", data, "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--nats", "127.0.0.1:0",
		"--url-policy", "any", "--allow-egress", "127.0.0.0/8")
	run.Stderr = &log
	// A variable of the test is an option that the process does not know.
	run.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "OUTBOUND_") })
	run.Cancel = func() error { return run.Process.Signal(os.Interrupt) }
	run.WaitDelay = time.Minute
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		if err := run.Wait(); t.Failed() {
			t.Logf("outbound ended: %v\n%s", err, log.String())
		}
	})
	s := &system{t: t}
	s.until("the system is ready", func() error {
		raw, err := os.ReadFile(filepath.Join(data, "endpoints.json"))
		if err != nil {
			return err
		}
		var at struct{ HTTP string }
		if err := json.Unmarshal(raw, &at); err != nil {
			return err
		}
		token, err := os.ReadFile(filepath.Join(data, "admin.token"))
		s.http, s.token = "http://"+at.HTTP, strings.TrimSpace(string(token))
		return err
	})
	return s
}

// until repeats what must come true.
func (s *system) until(what string, fact func() error) {
	s.t.Helper()
	for end := time.Now().Add(limit); ; time.Sleep(50 * time.Millisecond) {
		err := fact()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			s.t.Fatalf("%s: %v", what, err)
		}
	}
}

// call calls the REST API.
func (s *system) call(method, path string, body any) (int, string) {
	s.t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		s.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.http+path, bytes.NewReader(raw))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// must is call of what succeeds.
func (s *system) must(method, path string, body any) {
	s.t.Helper()
	if code, text := s.call(method, path, body); code != http.StatusOK {
		s.t.Fatalf("%s %s: %d %s", method, path, code, text)
	}
}

type object = map[string]any

// define adds an appliance, recipients that succeed and fail, a relay that is down, and a certificate that expires.
func (s *system) define() {
	s.t.Helper()
	receiver := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	s.t.Cleanup(receiver.Close)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	nobody := closed.Addr().String()
	_ = closed.Close()
	_, port, _ := net.SplitHostPort(nobody)

	s.must(http.MethodPost, "/v1/appliances", object{"id": "appliance-1"})
	kinds := []string{"support_conference_end"}
	s.must(http.MethodPost, "/v1/recipients", object{"id": "good", "displayName": "Good", "enabled": true, "eventTypes": kinds,
		"http": object{"url": receiver.URL}})
	s.must(http.MethodPost, "/v1/recipients", object{"id": "bad", "displayName": "Bad", "enabled": true, "eventTypes": kinds,
		"http": object{"url": "http://" + nobody, "retryInterval": "60s"}})
	s.must(http.MethodPost, "/v1/recipients", object{"id": "signed", "displayName": "Signed", "enabled": true, "eventTypes": kinds,
		"http": object{"url": receiver.URL, "caCertificatePem": certificate(s.t)}})
	s.must(http.MethodPost, "/v1/recipients", object{"id": "mail", "displayName": "Mail", "enabled": true, "eventTypes": kinds,
		"email": object{"addresses": []string{"ops@example.com"}}})
	// Its receiver wants nothing more: each delivery is dropped.
	gone := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGone) }))
	s.t.Cleanup(gone.Close)
	s.must(http.MethodPost, "/v1/recipients", object{"id": "gone", "displayName": "Gone", "enabled": true, "eventTypes": kinds,
		"http": object{"url": gone.URL, "stopOnGone": true}})
	// It is disabled: each delivery ends without an attempt.
	s.must(http.MethodPost, "/v1/recipients", object{"id": "off", "displayName": "Off", "enabled": false, "whileDisabled": "SKIP",
		"eventTypes": kinds, "http": object{"url": receiver.URL}})
	s.must(http.MethodPatch, "/v1/settings/smtp", object{"host": "127.0.0.1", "port": json.Number(port), "encryption": "NONE",
		"fromAddress": "outbound@example.com"})
}

// publish posts some events, one of which is not valid.
func (s *system) publish(round int) {
	s.t.Helper()
	for i := range 3 {
		s.must(http.MethodPost, "/v1/events?appliance_id=appliance-1", object{"specversion": "1.0", "id": fmt.Sprintf("e-%d-%d", round, i),
			"source": "appliance-1", "type": "support_conference_end", "data": object{"external_key": "INC-1"}})
	}
	if code, text := s.call(http.MethodPost, "/v1/events?appliance_id=appliance-1",
		object{"specversion": "1.0", "id": "wrong", "source": "appliance-1", "type": "no_such_type"}); code != http.StatusBadRequest {
		s.t.Fatalf("an event that is not valid is answered with %d %s", code, text)
	}
}

// scrape reads the metrics in Prometheus's text format.
func (s *system) scrape() []byte {
	s.t.Helper()
	resp, err := http.Get(s.http + "/metrics")
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		s.t.Fatalf("scrape: %d %v\n%s", resp.StatusCode, err, text)
	}
	return text
}
