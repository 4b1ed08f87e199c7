package process_test

import (
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/process"
	"github.com/outbound-events/outbound/pkg/waittest"
)

func TestConnectionsBeyondTheLimitAreAnsweredAndClosed(t *testing.T) {
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var refused atomic.Int64
	l := process.LimitConnections(plain, process.ConnectionLimits{Connections: 10, ConnectionsPerAddress: 2}, process.TooManyConnections,
		func(address string, n int) {
			if address == "127.0.0.1" {
				refused.Add(int64(n))
			}
		})
	accepted, done := make(chan net.Conn, 8), make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	defer func() { <-done }()
	defer func() { _ = l.Close() }()
	dial := func() net.Conn {
		c, err := net.Dial("tcp", plain.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		_ = c.SetDeadline(time.Now().Add(waittest.Limit))
		return c
	}
	dial()
	dial()
	first := <-accepted
	second := <-accepted
	defer func() { _ = second.Close() }()
	answer, err := io.ReadAll(dial())
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 503 ") ||
		!strings.HasSuffix(string(answer), "\r\n\r\ntoo many connections\r\n") {
		t.Errorf("a third is answered %q, %v", answer, err)
	}
	if refused.Load() != 1 {
		t.Errorf("%d were said to be refused", refused.Load())
	}
	_ = first.Close()
	_ = first.Close() // twice is once
	dial()
	defer func() { _ = (<-accepted).Close() }()
	if answer, _ := io.ReadAll(dial()); !strings.Contains(string(answer), "503") {
		t.Errorf("with two open again: %q", answer)
	}
}

// A process answers health questions on its listener while it starts, and lends it to its server then, although nobody connects.
func TestALimitedListenerIsGivenBack(t *testing.T) {
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := process.LimitConnections(plain, process.DefaultConnectionLimits(), "", func(string, int) {})
	defer l.Close()
	starting := process.ServeStarting(l, http.NotFoundHandler())
	over := make(chan struct{})
	go func() { defer close(over); starting.Stop() }()
	waittest.Receive(t, "the end of the start", over)
	accepted := make(chan error, 1)
	go func() { c, err := l.Accept(); accepted <- err; _ = c.Close() }()
	c, err := net.Dial("tcp", plain.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := waittest.Receive(t, "a connection", accepted); err != nil {
		t.Fatal(err)
	}
}
