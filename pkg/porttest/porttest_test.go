package porttest_test

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/outbound-events/outbound/pkg/porttest"
)

// perProcess are more ports than a block has.
const perProcess = 300

// Two processes are never given the same port, though all of them are closed again.
func TestAPortIsGivenOnce(t *testing.T) {
	if os.Getenv("PORTTEST_CHILD") != "" {
		for range perProcess {
			println(porttest.Address(t))
		}
		return
	}
	seen := map[string]bool{}
	for range perProcess {
		seen[porttest.Address(t)] = true
	}
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestAPortIsGivenOnce$")
	child.Env = append(os.Environ(), "PORTTEST_CHILD=yes")
	var out strings.Builder
	child.Stderr = &out
	if err := child.Run(); err != nil {
		t.Fatalf("%v: %s", err, out.String())
	}
	for _, address := range strings.Fields(out.String()) {
		seen[address] = true
	}
	if len(seen) != 2*perProcess {
		t.Errorf("%d ports, want %d", len(seen), 2*perProcess)
	}
}

func TestAPortRefusesUntilItIsListenedOn(t *testing.T) {
	address := porttest.Address(t)
	if _, err := net.Dial("tcp", address); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("%v, want it refused", err)
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
}
