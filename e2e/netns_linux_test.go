package e2e_test

import (
	"encoding/binary"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// namespaceVariable says in which kind of network namespace this process runs the test again.
const namespaceVariable = "OUTBOUND_E2E_NETNS"

// The kinds of network namespaces.
const (
	// noRoutes has loopback and no route: what dials beyond loopback fails at once.
	noRoutes = "no-routes"
	// sunk has default routes to a device that nobody answers at, where everything that would leave is counted.
	sunk = "sunk"
)

// The addresses in a namespace with a device, from the ranges for documentation (RFC 5737, RFC 3849).
const (
	sinkDevice  = "sink0"
	resolver    = "192.0.2.53"
	beyondProbe = "198.51.100.7:443"
)

// inNamespace runs the test that calls it again, in a network namespace of its own, and reports whether this is that run.
func inNamespace(t *testing.T, kind string) bool {
	t.Helper()
	if os.Getenv(namespaceVariable) == kind {
		layNetwork(t, kind)
		return true
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	name := "^" + strings.ReplaceAll(t.Name(), "/", "$/^") + "$"
	cmd := exec.CommandContext(t.Context(), self, "-test.run", name, "-test.v", "-test.count=1") //nolint:gosec // this program
	cmd.Env = append(os.Environ(), namespaceVariable+"="+kind)
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Fatalf("in a network namespace: %v\n%s", err, out)
	}
	t.Logf("%s", out)
	return false
}

// layNetwork makes the network of a fresh namespace, and has names looked up at an address beyond loopback.
func layNetwork(t *testing.T, kind string) {
	t.Helper()
	conf := filepath.Join(t.TempDir(), "resolv.conf")
	if err := os.WriteFile(conf, []byte("nameserver "+resolver+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount(conf, "/etc/resolv.conf", "", syscall.MS_BIND, ""); err != nil {
		t.Fatalf("replace resolv.conf: %v", err)
	}
	ip(t, "link set lo up")
	if kind != sunk {
		return
	}
	// A kernel without dummy devices has pairs: nobody listens at the other end.
	if _, err := tryIP(t, "link add "+sinkDevice+" type dummy"); err != nil {
		ip(t, "link add "+sinkDevice+" type veth peer name sink1")
		ip(t, "link set sink1 addrgenmode none")
		ip(t, "link set sink1 up")
	}
	ip(t, "link set "+sinkDevice+" arp off addrgenmode none")
	ip(t, "link set "+sinkDevice+" up")
	ip(t, "addr add 192.0.2.1/24 dev "+sinkDevice)
	ip(t, "route add default dev "+sinkDevice)
	if _, err := os.Stat("/proc/net/if_inet6"); err == nil {
		ip(t, "-6 addr add 2001:db8::1/64 dev "+sinkDevice+" nodad")
		ip(t, "-6 route add default dev "+sinkDevice)
	}
}

func ip(t *testing.T, args string) {
	t.Helper()
	if out, err := tryIP(t, args); err != nil {
		t.Fatalf("ip %s: %v: %s", args, err, out)
	}
}

func tryIP(t *testing.T, args string) (string, error) {
	out, err := exec.CommandContext(t.Context(), "ip", strings.Fields(args)...).CombinedOutput() //nolint:gosec // arguments of this file
	return string(out), err
}

// leaving counts the packets that leave a device, by protocol and destination.
type leaving struct {
	fd   int
	mu   sync.Mutex
	seen map[string]int
}

// countLeaving counts what leaves the sink until the test ends.
func countLeaving(t *testing.T) *leaving {
	t.Helper()
	const all = syscall.ETH_P_ALL<<8&0xff00 | syscall.ETH_P_ALL>>8
	fd, err := syscall.Socket(syscall.AF_PACKET, syscall.SOCK_DGRAM, all)
	if err != nil {
		t.Fatalf("open a packet socket: %v", err)
	}
	device, err := net.InterfaceByName(sinkDevice)
	if err == nil {
		err = syscall.Bind(fd, &syscall.SockaddrLinklayer{Protocol: all, Ifindex: device.Index})
	}
	if err == nil {
		err = syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &syscall.Timeval{Usec: 100_000})
	}
	if err != nil {
		t.Fatalf("listen at %s: %v", sinkDevice, err)
	}
	l := &leaving{fd: fd, seen: map[string]int{}}
	stopping, done := make(chan struct{}), make(chan struct{})
	go l.read(stopping, done)
	t.Cleanup(func() {
		close(stopping)
		<-done
		_ = syscall.Close(fd)
	})
	return l
}

func (l *leaving) read(stopping <-chan struct{}, done chan<- struct{}) {
	defer close(done)
	buffer := make([]byte, 1<<16)
	for {
		n, from, err := syscall.Recvfrom(l.fd, buffer, 0)
		if err != nil { // nothing came for a while
			select {
			case <-stopping:
				return
			default:
				continue
			}
		}
		if link, ok := from.(*syscall.SockaddrLinklayer); !ok || link.Pkttype != syscall.PACKET_OUTGOING {
			continue
		}
		if to, ok := destination(buffer[:n]); ok {
			l.mu.Lock()
			l.seen[to]++
			l.mu.Unlock()
		}
	}
}

// destination is where an IP packet goes. It leaves out ICMPv6, with which the kernel itself announces a device.
func destination(packet []byte) (string, bool) {
	const icmp6 = 58
	var protocol byte
	var to netip.Addr
	var rest []byte
	switch {
	case len(packet) >= 20 && packet[0]>>4 == 4:
		protocol, rest = packet[9], packet[min(len(packet), int(packet[0]&0xf)*4):]
		to, _ = netip.AddrFromSlice(packet[16:20])
	case len(packet) >= 40 && packet[0]>>4 == 6:
		protocol, rest = packet[6], packet[40:]
		to, _ = netip.AddrFromSlice(packet[24:40])
		// Hop-by-hop options come before the reports of multicast groups.
		if protocol == icmp6 || protocol == 0 && len(rest) > 0 && rest[0] == icmp6 {
			return "", false
		}
	default:
		return fmt.Sprintf("a packet that is not IP: % x", packet[:min(len(packet), 16)]), true
	}
	name := map[byte]string{syscall.IPPROTO_TCP: "tcp", syscall.IPPROTO_UDP: "udp"}[protocol]
	if name == "" || len(rest) < 4 {
		return fmt.Sprintf("protocol %d to %s", protocol, to), true
	}
	return name + " " + netip.AddrPortFrom(to, binary.BigEndian.Uint16(rest[2:4])).String(), true
}

// all are the packets so far.
func (l *leaving) all() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.seen)
}
