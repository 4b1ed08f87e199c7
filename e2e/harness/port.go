package harness

import (
	"fmt"
	"net"
	"sync"
)

// The ports that are given to processes lie below those that systems take for connections of their own (from 32768 on, or higher), so
// that none is taken by a connection between the moment in which it is found free and that in which its process listens. Each test
// process takes them from blocks of its own, so that none is given out by another test process in that moment.
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

// FreeAddress is an address that nobody listens on now, for a process that is not of the system.
func FreeAddress(t T) string {
	t.Helper()
	return freeAddress(t)
}

// freeAddress is an address that nobody listens on now.
func freeAddress(t T) string {
	t.Helper()
	given.mu.Lock()
	defer given.mu.Unlock()
	for {
		for given.next < given.end {
			given.next++
			address := fmt.Sprint("127.0.0.1:", given.next-1)
			if l, err := net.Listen("tcp", address); err == nil {
				_ = l.Close()
				return address
			}
		}
		if !given.block() {
			t.Fatalf("the ports from %d to %d are taken", firstPort, lastPort)
			return ""
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
