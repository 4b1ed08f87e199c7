package ledger

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
)

// namespaceVariable says that this process runs in a network namespace of its own.
const namespaceVariable = "OUTBOUND_LEDGER_NETNS"

// isolated reports whether all processes of the run are alone on their loopback device, so that it can be disturbed.
func isolated() bool { return os.Getenv(namespaceVariable) != "" }

// Isolate runs this program again in a network namespace of its own, with the same arguments, and returns its exit code. It does nothing,
// and returns false, if that is not possible (it takes root, ip and tc), or if this is that namespace.
func Isolate() (code int, done bool, err error) {
	_, noIP := exec.LookPath("ip")
	_, noTC := exec.LookPath("tc")
	if os.Getuid() != 0 || noIP != nil || noTC != nil || isolated() {
		return 0, false, nil
	}
	name := fmt.Sprint("outbound-ledger-", os.Getpid())
	if out, err := shell("ip netns add " + name + " && ip netns exec " + name + " ip link set lo up"); err != nil {
		_, _ = shell("ip netns del " + name)
		fmt.Fprintf(os.Stderr, "ledger: no network namespace, links are disturbed by proxies alone: %s", out)
		return 0, false, nil
	}
	defer func() { _, _ = shell("ip netns del " + name) }()
	self, err := os.Executable()
	if err != nil {
		return 0, false, fmt.Errorf("look up this program: %w", err)
	}
	cmd := exec.Command("ip", append([]string{"netns", "exec", name, self}, os.Args[1:]...)...) //nolint:gosec,noctx // this program
	cmd.Env = append(os.Environ(), namespaceVariable+"="+name)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode(), true, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("run in a network namespace: %w", err)
	}
	return 0, true, nil
}

// The ways to disturb the loopback device: latency and loss where the kernel has netem, else a narrow bandwidth.
const (
	netem = "netem delay 20ms 5ms loss 1%"
	tbf   = "tbf rate 6mbit burst 64kb latency 400ms"
)

// disturb makes the loopback device slow, and says how.
func disturb() (how string, err error) {
	if _, err := shell("tc qdisc add dev lo root " + netem); err == nil {
		return netem, nil
	}
	if out, err := shell("tc qdisc add dev lo root " + tbf); err != nil {
		return "", fmt.Errorf("make the network slow: %w: %s", err, out)
	}
	return tbf, nil
}

// calmDown ends disturb.
func calmDown() error {
	if out, err := shell("tc qdisc del dev lo root"); err != nil {
		return fmt.Errorf("make the network fast again: %w: %s", err, out)
	}
	return nil
}

// linksBy says how links are disturbed in this run.
func linksBy() string {
	if !isolated() {
		return "TCP proxies between processes (a network namespace takes root, ip and tc)"
	}
	how, err := disturb()
	if err != nil {
		return "TCP proxies between processes, and a network namespace that can be cut off, not slowed down"
	}
	if err := calmDown(); err != nil {
		return err.Error()
	}
	return "TCP proxies between processes, and a network namespace with " + how
}

// networkSlow disturbs every connection of every process: to brokers, services, receivers and the relay.
func networkSlow(w *world, _ *rand.Rand) (string, func()) {
	how, err := disturb()
	if err != nil {
		w.Fatalf("%v", err)
	}
	return "lo with " + how, func() {
		if err := calmDown(); err != nil {
			w.Fatalf("%v", err)
		}
	}
}

// networkAway drops every packet between all processes; connections stay.
func networkAway(w *world, _ *rand.Rand) (string, func()) {
	if out, err := shell("ip link set lo down"); err != nil {
		w.Fatalf("take the network away: %v: %s", err, out)
	}
	return "lo down", func() {
		if out, err := shell("ip link set lo up"); err != nil {
			w.Fatalf("bring the network back: %v: %s", err, out)
		}
	}
}
