package process_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/outbound-events/outbound/pkg/process"
)

func serve(t *testing.T, run func(ctx context.Context, l net.Listener) error) (url string, stop func()) {
	t.Helper()
	l, err := process.Listen("--http", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- run(ctx, l) }()
	var once bool
	stop = func() {
		if once {
			return
		}
		once = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serving ended with %v", err)
		}
	}
	t.Cleanup(func() { stop(); http.DefaultClient.CloseIdleConnections() })
	return "http://" + l.Addr().String(), stop
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r.Body)
	if err := errors.Join(err, r.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(b)
}

func TestReadinessNamesWhatIsMissing(t *testing.T) {
	var away error
	ops := process.Ops{Checks: []process.Check{
		{Name: "broker", Ask: func(context.Context) error { return nil }},
		{Name: "config", Ask: func(context.Context) error { return away }},
	}, Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("a 1\n")) })}
	url, stop := serve(t, ops.Serve)
	for _, c := range []struct {
		away error
		path string
		code int
		text string
	}{
		{nil, "/healthz", 200, "ok\n"},
		{nil, "/readyz", 200, "broker: ok\nconfig: ok\n"},
		{nil, "/metrics", 200, "a 1\n"},
		{errors.New("not reached yet"), "/readyz", 503, "broker: ok\nconfig: not reached yet\n"},
		{errors.New("not reached yet"), "/healthz", 200, "ok\n"},
		{nil, "/else", 404, "404 page not found\n"},
	} {
		away = c.away
		if code, text := get(t, url+c.path); code != c.code || text != c.text {
			t.Errorf("%s: %d %q, want %d %q", c.path, code, text, c.code, c.text)
		}
	}
	stop()
	if _, err := net.Dial("tcp", strings.TrimPrefix(url, "http://")); err == nil {
		t.Error("still listening after the end")
	}
}

func TestARequestUnderWayIsFinished(t *testing.T) {
	began, let := make(chan struct{}), make(chan struct{})
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(began)
		<-let
		if r.Context().Err() == nil {
			_, _ = w.Write([]byte("done"))
		}
	})
	url, stop := serve(t, func(ctx context.Context, l net.Listener) error { return process.ServeHTTP(ctx, l, h) })
	answer := make(chan string, 1)
	go func() { _, text := get(t, url); answer <- text }()
	<-began
	stopped := make(chan struct{})
	go func() { defer close(stopped); stop() }()
	// A closed listener shows that the end has begun.
	for {
		c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			break
		}
		_ = c.Close()
	}
	close(let)
	if got := <-answer; got != "done" {
		t.Errorf("request under way was answered %q", got)
	}
	<-stopped
}

func TestATakenPortIsOneLineNamingTheOption(t *testing.T) {
	l, err := process.Listen("--http", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	for address, want := range map[string]string{
		l.Addr().String():  "--grpc " + l.Addr().String() + ": the port is in use by another program",
		"nonsense":         "--grpc nonsense: not an address to listen on: give host:port",
		"127.0.0.1:999999": "--grpc 127.0.0.1:999999: not an address to listen on",
	} {
		_, err := process.Listen("--grpc", address)
		var usage *process.UsageError
		if !errors.As(err, &usage) || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error is %v, want one line beginning %q", address, err, want)
		}
	}
}
