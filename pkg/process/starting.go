package process

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"
)

// Starting answers /healthz, /readyz and /metrics while a process waits for what it needs at its start, so that those who run it learn what
// that is. All else is answered with 503 and Retry-After: a client tries again, where it would take 404 for final. The listener is used for
// the process itself afterwards.
type Starting struct {
	mu   sync.Mutex
	text string
	stop sync.Once
	over func()
}

// ServeStarting answers on l until Stop is called.
func ServeStarting(l net.Listener, metrics http.Handler) *Starting {
	s := &Starting{}
	lent := &lentListener{Listener: l, closed: make(chan struct{})}
	mux := http.NewServeMux()
	Ops{Metrics: metrics, Checks: []Check{{Name: "start", Ask: s.ask}}}.Register(mux)
	mux.HandleFunc("/", later)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: readHeaderTimeout}
	server.SetKeepAlivesEnabled(false)
	done := make(chan struct{})
	go func() {
		defer close(done)
		// It ends with Stop alone.
		_ = server.Serve(lent)
	}()
	s.over = func() {
		ctx, cancel := context.WithTimeout(context.Background(), checkTimeout)
		defer cancel()
		if server.Shutdown(ctx) != nil {
			_ = server.Close()
		}
		<-done
		lent.giveBack()
	}
	return s
}

// Wait says what is waited for now; empty: nothing in particular.
func (s *Starting) Wait(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text = text
}

func (s *Starting) ask(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.text == "" {
		return errors.New("the process is starting")
	}
	return errors.New(s.text)
}

// later answers what the process will answer once it has started, with the JSON of a google.rpc.Status. It does not say what is waited for:
// that has addresses, and this is for clients.
func later(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Retry-After", "1")
	w.WriteHeader(http.StatusServiceUnavailable)
	_ = json.NewEncoder(w).Encode(map[string]any{
		"code": codeUnavailable, "message": "the service is starting: try again in a moment", "details": []any{},
	})
}

// codeUnavailable is UNAVAILABLE of google.rpc.Code.
const codeUnavailable = 14

// Stop ends it and leaves the listener open. Stopping it twice is no error.
func (s *Starting) Stop() { s.stop.Do(s.over) }

// lentListener is a listener that stays open when it is closed.
type lentListener struct {
	net.Listener
	closed chan struct{}
	once   sync.Once
}

// deadliner is what a TCP listener can.
type deadliner interface{ SetDeadline(t time.Time) error }

// Accept waits for a connection until Close.
func (l *lentListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		select {
		case <-l.closed:
			return nil, net.ErrClosed
		default:
		}
	}
	return c, err
}

// Close ends an Accept that waits.
func (l *lentListener) Close() error {
	l.once.Do(func() {
		close(l.closed)
		if d, ok := l.Listener.(deadliner); ok {
			_ = d.SetDeadline(time.Unix(1, 0))
		}
	})
	return nil
}

// giveBack has the listener wait for connections again.
func (l *lentListener) giveBack() {
	if d, ok := l.Listener.(deadliner); ok {
		_ = d.SetDeadline(time.Time{})
	}
}
