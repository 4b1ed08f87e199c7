package telemetry_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/outbound-events/outbound/pkg/telemetry"
)

// scraped sets telemetry up and asks for metrics on a listener that it shares with others, as a request that came in on an address.
func scraped(t *testing.T, o telemetry.Options, on, authorization string) *httptest.ResponseRecorder {
	t.Helper()
	x, err := telemetry.Setup(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = x.Shutdown(context.Background()) })
	q := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil)
	q.Header.Set("Authorization", authorization)
	q = q.WithContext(context.WithValue(q.Context(), http.LocalAddrContextKey, &net.TCPAddr{IP: net.ParseIP(on), Port: 80}))
	w := httptest.NewRecorder()
	x.MetricsHandler().ServeHTTP(w, q)
	return w
}

func TestMetricsAreNotForStrangersOnTheNetwork(t *testing.T) {
	file := filepath.Join(t.TempDir(), "metrics.token")
	if err := os.WriteFile(file, []byte("obt_metrics\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		name, on, authorization string
		adapt                   func(*telemetry.Options)
		want                    int
		says                    string
	}{
		{"on loopback, as it always was", "127.0.0.1", "", nil, 200, "outbound_build_info"},
		{"on loopback in IPv6", "::1", "", nil, 200, "outbound_build_info"},
		{"beyond loopback", "192.0.2.1", "", nil, 403, "telemetry.metricsTokenFile"},
		{"with the token, beyond loopback", "192.0.2.1", "Bearer obt_metrics", token(file), 200, "outbound_build_info"},
		{"without the token, on loopback", "127.0.0.1", "", token(file), 401, "Authorization: Bearer"},
		{"with another token", "127.0.0.1", "Bearer obt_metrics2", token(file), 401, "Authorization: Bearer"},
		{"with the token as a password", "127.0.0.1", "Basic obt_metrics", token(file), 401, "Authorization: Bearer"},
		{"with a listener of their own", "127.0.0.1", "", func(o *telemetry.Options) { o.Metrics = "127.0.0.1:0" }, 404, "telemetry.metrics"},
	} {
		t.Run(x.name, func(t *testing.T) {
			o := telemetry.DefaultOptions()
			if x.adapt != nil {
				x.adapt(&o)
			}
			if w := scraped(t, o, x.on, x.authorization); w.Code != x.want || !strings.Contains(w.Body.String(), x.says) {
				t.Errorf("%d %.200s, want %d with %q", w.Code, w.Body, x.want, x.says)
			}
		})
	}
}

func token(file string) func(*telemetry.Options) {
	return func(o *telemetry.Options) { o.MetricsTokenFile = file }
}

func TestMetricsHaveAListenerOfTheirOwn(t *testing.T) {
	file := filepath.Join(t.TempDir(), "metrics.token")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("obt_first")
	o := telemetry.DefaultOptions()
	o.Metrics, o.MetricsTokenFile = "127.0.0.1:0", file
	x, err := telemetry.Setup(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	ask := func(path, bearer string) int {
		t.Helper()
		q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+x.MetricsAddr()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		q.Header.Set("Authorization", "Bearer "+bearer)
		a, err := client.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		_ = a.Body.Close()
		return a.StatusCode
	}
	if a, b, c := ask("/metrics", "obt_first"), ask("/metrics", ""), ask("/healthz", "obt_first"); a != 200 || b != 401 || c != 404 {
		t.Errorf("answered %d with the token, %d without, %d for another path", a, b, c)
	}
	write("obt_second")
	if a, b := ask("/metrics", "obt_second"), ask("/metrics", "obt_first"); a != 200 || b != 401 {
		t.Errorf("after the token was rotated: %d with the new one, %d with the old", a, b)
	}
	for range 2 {
		if err := x.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	}
}

func TestFaultsOfTheMetricsOptionsNameThem(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	for _, x := range []struct{ address, file, says string }{
		{"9464", "", "metrics"},
		{":9464", "", "127.0.0.1:9464"},
		{taken.Addr().String(), "", "--metrics"},
		{"", filepath.Join(t.TempDir(), "none"), "telemetry.metricsTokenFile"},
	} {
		o := telemetry.DefaultOptions()
		o.Metrics, o.MetricsTokenFile = x.address, x.file
		if _, err := telemetry.Setup(t.Context(), o); err == nil || !strings.Contains(err.Error(), x.says) {
			t.Errorf("%q, %q: %v, want an error with %q", x.address, x.file, err, x.says)
		}
	}
}
