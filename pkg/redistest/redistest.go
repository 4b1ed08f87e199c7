// Package redistest starts real Redis servers for tests.
package redistest

import (
	"context"
	"net"
	"os/exec"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/waittest"
)

// Server is a redis-server process of a test's own, without persistence.
type Server struct {
	t       testing.TB
	Address string
	cmd     *exec.Cmd
}

// Start starts redis-server on a free port; it ends with the test. A machine without redis-server fails the test and says what
// to install.
func Start(t testing.TB) *Server {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{t: t, Address: l.Addr().String()}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
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
	s.cmd = exec.CommandContext(context.Background(), path, "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
		"--dir", s.t.TempDir())
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
