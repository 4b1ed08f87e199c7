// Package porttest gives out ports of the loopback interface to tests: some that a server will listen on, some that refuse.
//
// They lie below those that systems take for connections of their own (from 32768 on, or higher), so that none is taken by a
// connection between the moment in which it is found free and that in which its server listens, or while a server is down. Each test
// process takes them from blocks of its own, so that no other test process is given them either.
package porttest

import (
	"fmt"
	"net"
	"strconv"
	"sync"
)

// T is what the functions ask of a test. [testing.TB] is one.
type T interface {
	Helper()
	Fatalf(format string, args ...any)
}

const (
	firstPort = 10_000
	lastPort  = 32_000
	blockSize = 200
)

// ports gives out ports, each once. Whoever listens on the first port of a block has the block, for the rest of the process's life.
type ports struct {
	mu        sync.Mutex
	next, end int
	tried     int
	held      []net.Listener
}

var given ports //nolint:gochecknoglobals // ports are of the whole process

// Listen listens on a port that is the test's until the process ends, so that nobody else has it once the listener is closed.
func Listen(t T) net.Listener {
	t.Helper()
	given.mu.Lock()
	defer given.mu.Unlock()
	for {
		for given.next < given.end {
			given.next++
			if l, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", given.next-1)); err == nil {
				return l
			}
		}
		if !given.block() {
			t.Fatalf("the ports from %d to %d are taken", firstPort, lastPort)
			return nil
		}
	}
}

// block takes the next block that nobody has.
func (p *ports) block() bool {
	for first := firstPort + p.tried*blockSize; first < lastPort; first += blockSize {
		p.tried++
		if l, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", first)); err == nil {
			p.held = append(p.held, l)
			p.next, p.end = first+1, first+blockSize
			return true
		}
	}
	return false
}

// Address is an address ("127.0.0.1:10001") that nobody listens on but who is told of it: connections to it are refused until then.
func Address(t T) string {
	t.Helper()
	l := Listen(t)
	if l == nil {
		return ""
	}
	_ = l.Close()
	return l.Addr().String()
}

// Port is the port of an [Address].
func Port(t T) int {
	t.Helper()
	_, text, _ := net.SplitHostPort(Address(t))
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("the port %q: %v", text, err)
	}
	return port
}
