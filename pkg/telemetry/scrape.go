package telemetry

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/outbound-events/outbound/pkg/process"
	"github.com/outbound-events/outbound/pkg/secret"
)

// scrape answers /metrics. Metrics hold names of recipients and how busy an installation is, so a stranger on the network does not get
// them: without a token or a listener of their own they are answered only where a request came in on a loopback address.
type scrape struct {
	metrics http.Handler
	// tokenFile is read at each request, so that a token is rotated without a restart. Empty: no token.
	tokenFile string
	// address is the listener of their own; empty: none.
	address  string
	listener net.Listener
	stop     context.CancelFunc
	ended    chan error
}

// openScrape checks the token and opens the listener, if there is to be one.
func openScrape(o Options, metrics http.Handler) (*scrape, error) {
	s := &scrape{metrics: metrics, tokenFile: o.MetricsTokenFile, address: o.Metrics}
	if s.tokenFile != "" {
		if _, err := secret.LoadToken(s.tokenFile); err != nil {
			return nil, fmt.Errorf("telemetry.metricsTokenFile: %w", err)
		}
	}
	if s.address == "" {
		return s, nil
	}
	var err error
	if s.listener, err = process.Listen("--metrics", s.address); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.stop, s.ended = cancel, make(chan error, 1)
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", s.withToken(s.metrics))
	go func() {
		defer close(s.ended) // closing twice is no error
		s.ended <- process.ServeHTTP(ctx, s.listener, mux)
	}()
	return s, nil
}

// close ends the listener.
func (s *scrape) close() error {
	if s.listener == nil {
		return nil
	}
	s.stop()
	return <-s.ended
}

// shared answers /metrics on a listener that is there for more than metrics.
func (s *scrape) shared() http.Handler {
	switch {
	case s.address != "":
		return refuse(http.StatusNotFound, "metrics have a listener of their own on this process: see the option telemetry.metrics")
	case s.tokenFile != "":
		return s.withToken(s.metrics)
	default:
		return loopbackOnly(s.metrics)
	}
}

// withToken asks for the token, if there is one (RFC 6750).
func (s *scrape) withToken(next http.Handler) http.Handler {
	if s.tokenFile == "" {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		want, err := secret.LoadToken(s.tokenFile)
		scheme, got, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		switch {
		case err != nil:
			refuse(http.StatusServiceUnavailable, "the token of metrics can't be read: see the option telemetry.metricsTokenFile").ServeHTTP(w, r)
		case !strings.EqualFold(scheme, "Bearer") || !secret.Equal(strings.TrimSpace(got), want):
			w.Header().Set("WWW-Authenticate", `Bearer realm="metrics"`)
			refuse(http.StatusUnauthorized, "metrics need their token: send the header Authorization: Bearer <token>").ServeHTTP(w, r)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// loopbackOnly answers requests that came in on a loopback address, or on no network at all. The address is that of our own end of the
// connection, which nobody else can choose.
func loopbackOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		at, network := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
		tcp, ok := at.(*net.TCPAddr)
		if !network || ok && tcp.IP.IsLoopback() {
			next.ServeHTTP(w, r)
			return
		}
		refuse(http.StatusForbidden, "beyond loopback, metrics need a token (the option telemetry.metricsTokenFile) or a listener of their own "+
			"(telemetry.metrics, --metrics HOST:PORT)").ServeHTTP(w, r)
	})
}

// refuse answers with a line of text.
func refuse(code int, text string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		http.Error(w, text, code)
	})
}

// MetricsHandler answers with all metrics in Prometheus's text format, on a listener that is there for more than metrics: see
// Options.Metrics and Options.MetricsTokenFile.
func (t *Telemetry) MetricsHandler() http.Handler { return t.scrape.shared() }

// MetricsAddr is where the metrics' own listener listens; empty without one.
func (t *Telemetry) MetricsAddr() string {
	if t.scrape.listener == nil {
		return ""
	}
	return t.scrape.listener.Addr().String()
}

func (t *Telemetry) prometheus() http.Handler {
	return promhttp.HandlerFor(t.Registry, promhttp.HandlerOpts{Registry: t.Registry, MaxRequestsInFlight: 4})
}

// checkMetricsAddress says what is wrong with the address of the metrics' listener.
func checkMetricsAddress(address string) error {
	if address == "" {
		return nil
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil || host == "" || strings.TrimSpace(port) == "" {
		return errors.New("must be host:port, e.g. 127.0.0.1:9464; port 0 picks one")
	}
	return nil
}

// closeScrape ends the metrics' listener before ctx does.
func (t *Telemetry) closeScrape(ctx context.Context) error {
	done := make(chan error, 1)
	go func() { done <- t.scrape.close() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("end the metrics' listener: %w", context.Cause(ctx))
	case <-time.After(shutdownTimeout):
		return errors.New("the metrics' listener did not end in time")
	}
}
