// Package redistest starts real Redis servers for tests.
package redistest

import (
	"context"
	"net"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/porttest"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// Server is a redis-server process of a test's own, without persistence.
type Server struct {
	t       testing.TB
	Address string
	cmd     *exec.Cmd
	// options are its arguments beside the port's.
	options []string
	secure  bool
}

// Start starts redis-server on a free port; it ends with the test. A machine without redis-server fails the test and says what
// to install. Options are further arguments.
func Start(t testing.TB, options ...string) *Server { return start(t, false, options) }

// StartTLS is Start of a server that speaks TLS alone, and asks for no client certificate.
func StartTLS(t testing.TB, certFile, keyFile string, options ...string) *Server {
	return start(t, true, append([]string{"--tls-cert-file", certFile, "--tls-key-file", keyFile, "--tls-ca-cert-file", certFile,
		"--tls-auth-clients", "no"}, options...))
}

func start(t testing.TB, secure bool, options []string) *Server {
	t.Helper()
	s := &Server{t: t, Address: porttest.Address(t), options: options, secure: secure}
	s.Restart()
	t.Cleanup(s.Kill)
	return s
}

// Restart starts the server again, empty, on the same port.
func (s *Server) Restart() {
	s.t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		s.t.Fatal("redis-server is not installed: `make test` installs it on Debian (package redis-server)")
	}
	_, port, err := net.SplitHostPort(s.Address)
	if err != nil {
		s.t.Fatal(err)
	}
	ports := []string{"--port", port}
	if s.secure {
		ports = []string{"--port", "0", "--tls-port", port}
	}
	s.cmd = exec.CommandContext(context.Background(), path, slices.Concat(ports, []string{"--bind", "127.0.0.1", "--save", "",
		"--appendonly", "no", "--dir", s.t.TempDir()}, s.options)...)
	if err := s.cmd.Start(); err != nil {
		s.t.Fatalf("start redis-server: %v", err)
	}
	dialer := net.Dialer{Timeout: time.Second}
	waittest.NoError(s.t, "redis-server to answer", func() error {
		c, err := dialer.DialContext(s.t.Context(), "tcp", s.Address)
		if err == nil {
			err = c.Close()
		}
		return err
	})
}

// Kill ends the server at once. Killing it twice is no error.
func (s *Server) Kill() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
	s.cmd = nil
}
