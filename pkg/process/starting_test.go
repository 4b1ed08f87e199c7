package process_test

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/outbound-events/outbound/pkg/process"
)

// A client takes 404 for final: while a process starts, what it will answer later has to be tried again.
func TestAProcessThatStartsIsAskedAgain(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := process.ServeStarting(l, nil)
	s.Wait("nats at nats://127.0.0.1:4222 does not answer")
	for _, c := range []struct{ method, path string }{
		{http.MethodPost, "/v1/events"}, {http.MethodGet, "/v1/recipients"}, {http.MethodGet, "/"}, {http.MethodDelete, "/v1/recipients/a"},
	} {
		q, err := http.NewRequestWithContext(t.Context(), c.method, "http://"+l.Addr().String()+c.path, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		r, err := http.DefaultClient.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r.Body)
		_ = r.Body.Close()
		if err != nil || r.StatusCode != http.StatusServiceUnavailable || r.Header.Get("Retry-After") == "" ||
			!strings.Contains(string(body), `"code":14`) || strings.Contains(string(body), "4222") {
			t.Errorf("%s %s: %d, Retry-After %q, %s; want 503, when to try again, and no address", c.method, c.path, r.StatusCode,
				r.Header.Get("Retry-After"), body)
		}
	}
	s.Stop()
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}
