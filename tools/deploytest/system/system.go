// Package system runs `outbound run` and calls it.
package system

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// limit ends a wait for what does not come.
const limit = 5 * time.Minute

// T is what starts a system: a test, or a program.
type T interface {
	Helper()
	Logf(format string, args ...any)
	Fatalf(format string, args ...any)
	Failed() bool
	Cleanup(f func())
	TempDir() string
}

// System is `outbound run`.
type System struct {
	t           T
	http, token string
}

// Object is an object of JSON.
type Object = map[string]any

// binary builds outbound, unless OUTBOUND_E2E_BIN names the folder of the binaries.
func binary(t T, root string) string {
	t.Helper()
	if dir := os.Getenv("OUTBOUND_E2E_BIN"); dir != "" {
		return filepath.Join(dir, "outbound")
	}
	path := filepath.Join(t.TempDir(), "outbound")
	build := exec.CommandContext(context.Background(), "go", "build", "-buildvcs=false", "-o", path, "./services/cmd/outbound")
	build.Dir, build.Env = root, append(os.Environ(), "CGO_ENABLED=0", "GOWORK=")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build outbound: %v\n%s", err, out)
	}
	return path
}

// Start builds outbound from the repository at root and starts a system with the broker in it.
func Start(t T, root string) *System {
	t.Helper()
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	ctx, cancel := context.WithCancel(context.Background())
	var log bytes.Buffer
	run := exec.CommandContext(ctx, binary(t, root), "run", "--data", data, "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0",
		"--nats", "127.0.0.1:0", "--url-policy", "any", "--allow-egress", "127.0.0.0/8")
	run.Stderr = &log
	// A variable of the test is an option that the process does not know.
	run.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "OUTBOUND_") })
	run.Cancel = func() error { return run.Process.Signal(os.Interrupt) }
	run.WaitDelay = time.Minute
	if err := run.Start(); err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(func() {
		cancel()
		if err := run.Wait(); t.Failed() {
			t.Logf("outbound ended: %v\n%s", err, log.String())
		}
	})
	s := &System{t: t}
	s.Until("the system is ready", func() error {
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

// Until repeats what must come true.
func (s *System) Until(what string, fact func() error) {
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

// Call calls the REST API.
func (s *System) Call(method, path string, body any) (int, string) {
	s.t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		s.t.Fatalf("%v", err)
	}
	req, err := http.NewRequestWithContext(context.Background(), method, s.http+path, bytes.NewReader(raw))
	if err != nil {
		s.t.Fatalf("%v", err)
	}
	req.Header.Set("Authorization", "Bearer "+s.token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatalf("%v", err)
	}
	return resp.StatusCode, string(text)
}

// Must is Call of what succeeds.
func (s *System) Must(method, path string, body any) {
	s.t.Helper()
	if code, text := s.Call(method, path, body); code != http.StatusOK {
		s.t.Fatalf("%s %s: %d %s", method, path, code, text)
	}
}

// Scrape reads the metrics in Prometheus's text format.
func (s *System) Scrape() []byte {
	s.t.Helper()
	resp, err := http.Get(s.http + "/metrics")
	if err != nil {
		s.t.Fatalf("%v", err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		s.t.Fatalf("scrape: %d %v\n%s", resp.StatusCode, err, text)
	}
	return text
}
