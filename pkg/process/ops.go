package process

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"
)

// Check asks one thing a process needs before it is of use. Its error says what is missing.
type Check struct {
	Name string
	Ask  func(ctx context.Context) error
}

// Ops answers the questions of those who run a process: /healthz (it lives), /readyz (it is of use: every check passes) and
// /metrics.
type Ops struct {
	Checks []Check
	// Metrics answers /metrics; nil: not found.
	Metrics http.Handler
}

// checkTimeout bounds all checks of one question together.
const checkTimeout = 2 * time.Second

// Register adds the three paths to mux.
func (o Ops) Register(mux *http.ServeMux) {
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "ok\n") })
	mux.HandleFunc("GET /readyz", o.ready)
	if o.Metrics != nil {
		mux.Handle("GET /metrics", o.Metrics)
	}
}

// Serve answers on l until ctx ends, then closes l.
func (o Ops) Serve(ctx context.Context, l net.Listener) error {
	mux := http.NewServeMux()
	o.Register(mux)
	return ServeHTTP(ctx, l, mux)
}

// ready lists the checks, a line each, with 200 if all pass and 503 if not.
func (o Ops) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), checkTimeout)
	defer cancel()
	var b strings.Builder
	code := http.StatusOK
	for _, c := range o.Checks {
		if err := c.Ask(ctx); err != nil {
			code = http.StatusServiceUnavailable
			fmt.Fprintf(&b, "%s: %s\n", c.Name, err)
			continue
		}
		fmt.Fprintf(&b, "%s: ok\n", c.Name)
	}
	if len(o.Checks) == 0 {
		b.WriteString("ok\n")
	}
	answer(w, code, b.String())
}

func answer(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_, _ = w.Write([]byte(text))
}
