package process

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"syscall"
	"time"
)

// Listen opens a TCP listener. option is the flag or option that chose the address; an error names it.
func Listen(option, address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	switch {
	case err == nil:
		return l, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, &UsageError{Err: fmt.Errorf("%s %s: the port is in use by another program: choose another, or port 0 for a free one",
			option, address)}
	case errors.Is(err, syscall.EACCES):
		return nil, &UsageError{Err: fmt.Errorf("%s %s: no permission to open the port: choose one above 1023", option, address)}
	default:
		return nil, &UsageError{Err: fmt.Errorf("%s %s: not an address to listen on: give host:port, e.g. 127.0.0.1:8080: %w", option,
			address, err)}
	}
}

// Bounds of an HTTP server. The write bound is the longest a whole answer may take. What is under way may wait for a gRPC server that
// ends at the same time, and that for a broker that is away: each is given longer than what it waits for.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 30 * time.Second
	writeTimeout      = 60 * time.Second
	idleTimeout       = 2 * time.Minute
	shutdownTimeout   = 8 * time.Second
	maxHeaderBytes    = 64 << 10
)

// ServeHTTP answers requests on l until ctx ends, then finishes what is under way, at most 8 s, and closes l. Handlers that
// stream lift the write bound for themselves through http.ResponseController and end with their service's context.
func ServeHTTP(ctx context.Context, l net.Listener, h http.Handler) error {
	s := &http.Server{
		Handler: h, ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes,
		BaseContext: func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
	}
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		bound, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
		defer cancel()
		err := s.Shutdown(bound)
		if err != nil {
			err = errors.Join(fmt.Errorf("finish requests in flight on %s: %w", l.Addr(), err), s.Close())
		}
		stopped <- err
	})
	err := s.Serve(l)
	if stop() {
		return fmt.Errorf("serve HTTP on %s: %w", l.Addr(), err)
	}
	return <-stopped
}
