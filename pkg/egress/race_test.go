package egress_test

import (
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/dnstest"
	"github.com/outbound-events/outbound/pkg/egress"
)

// deaf listens on an address of loopback and lets no connection come about: what is sent to it is dropped.
func deaf(t *testing.T, address [4]byte, port string) {
	t.Helper()
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Port: n, Addr: address}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	// The queue of connections that nobody accepts is full after a few.
	where := net.JoinHostPort(net.IP(address[:]).String(), port)
	for range 8 {
		c, err := net.DialTimeout("tcp4", where, 100*time.Millisecond)
		if err != nil {
			return
		}
		t.Cleanup(func() { _ = c.Close() })
	}
	t.Fatalf("%s still takes connections", where)
}

func TestADeadAddressCostsAMoment(t *testing.T) {
	g, err := egress.NewGuard([]string{"127.0.0.0/8"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	port, connections := listen(t, "tcp4", "127.0.0.9:0")
	for last := byte(2); last < 6; last++ {
		deaf(t, [4]byte{127, 0, 0, last}, port)
	}
	for name, resolver := range map[string]*net.Resolver{
		"the first of two":          dnstest.Start(t, dnstest.Fixed("127.0.0.2", "127.0.0.9")),
		"four of five":              dnstest.Start(t, dnstest.Fixed("127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5", "127.0.0.9")),
		"refused, then dead":        dnstest.Start(t, dnstest.Fixed("127.0.0.7", "127.0.0.2", "127.0.0.9")),
		"forbidden and dead":        dnstest.Start(t, dnstest.Fixed("10.0.0.1", "127.0.0.2", "127.0.0.9")),
		"dead, of the other kind":   dnstest.Start(t, dnstest.Fixed("::1", "127.0.0.2", "127.0.0.9")),
		"the second of two is dead": dnstest.Start(t, dnstest.Fixed("127.0.0.9", "127.0.0.2")),
	} {
		before := connections.Load()
		for range 20 {
			tr := egress.NewTransport(egress.TransportOptions{Guard: g, Timeout: 2 * time.Second, MaxConns: 2, Resolver: resolver})
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://receiver.example:"+port, strings.NewReader("x"))
			if err != nil {
				t.Fatal(err)
			}
			resp, err := tr.RoundTrip(r)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				break
			}
			_ = resp.Body.Close()
			tr.CloseIdleConnections()
		}
		if n := connections.Load() - before; n != 20 {
			t.Errorf("%s: %d of 20 were reached", name, n)
		}
	}
}

func TestTheErrorNamesAllAddressesThatWereTried(t *testing.T) {
	g, err := egress.NewGuard([]string{"127.0.0.0/8"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	port, _ := listen(t, "tcp4", "127.0.0.9:0")
	deaf(t, [4]byte{127, 0, 0, 2}, port)
	tr := egress.NewTransport(egress.TransportOptions{Guard: g, Timeout: 500 * time.Millisecond, MaxConns: 2,
		Resolver: dnstest.Start(t, dnstest.Fixed("10.0.0.1", "127.0.0.2", "127.0.0.7"))})
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://receiver.example:"+port, strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = tr.RoundTrip(r)
	if err == nil {
		t.Fatal("reached")
	}
	for _, part := range []string{"connect to receiver.example:" + port, "127.0.0.7: connection refused", "127.0.0.2: no response in time"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q lacks %q", err, part)
		}
	}
}
