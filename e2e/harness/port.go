package harness

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
)

// The ports that are given to processes lie below those that systems take for connections of their own (from 32768 on, or higher), so
// that none is taken by a connection between the moment in which it is found free and that in which its process listens.
const (
	firstPort = 10_000
	lastPort  = 32_000
	portTries = 1_000
)

// given are the ports that were given out by this process: each is given once.
var given sync.Map //nolint:gochecknoglobals // ports are of the whole process

// freeAddress is an address that nobody listens on now.
func freeAddress(t T) string {
	for range portTries {
		port := firstPort + rand.IntN(lastPort-firstPort) //nolint:gosec // no secret
		if _, taken := given.LoadOrStore(port, true); taken {
			continue
		}
		l, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", port))
		if err != nil {
			continue
		}
		_ = l.Close()
		return l.Addr().String()
	}
	t.Fatalf("%d ports from %d on are taken", portTries, firstPort)
	return ""
}
