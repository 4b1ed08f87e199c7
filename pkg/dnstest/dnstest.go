// Package dnstest is a name server for tests: a real one, over UDP on loopback, that answers what a test says.
package dnstest

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// Answer says which addresses a name has; none: there is no such name. Names come in lower case without the last dot. It is called
// once for each question: for IPv4 and IPv6 apart, each of which picks the addresses of its kind.
type Answer func(name string) []netip.Addr

// Fixed answers the same for every name.
func Fixed(addresses ...string) Answer {
	all := make([]netip.Addr, len(addresses))
	for i, a := range addresses {
		all[i] = netip.MustParseAddr(a)
	}
	return func(string) []netip.Addr { return all }
}

// Start starts a name server that ends with the test, and gives a resolver that asks it alone. While Answer blocks, nothing is
// answered.
func Start(t testing.TB, answer Answer) *net.Resolver {
	t.Helper()
	conn, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			if reply, err := respond(buf[:n], answer); err == nil {
				_, _ = conn.WriteTo(reply, from)
			}
		}
	}()
	c := &clients{address: conn.LocalAddr().String()}
	t.Cleanup(func() {
		_ = conn.Close()
		<-done
		c.close()
	})
	return &net.Resolver{PreferGo: true, Dial: c.dial}
}

// clients are the resolver's connections. It waits for an answer for seconds, even when its caller has gone, so they are closed
// with the server.
type clients struct {
	address string

	mu     sync.Mutex
	open   []net.Conn
	closed bool
}

func (c *clients) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, net.ErrClosed
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "udp4", c.address)
	if err == nil {
		c.open = append(c.open, conn)
	}
	return conn, err
}

func (c *clients) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for _, conn := range c.open {
		_ = conn.Close()
	}
}

func respond(question []byte, answer Answer) ([]byte, error) {
	var m dnsmessage.Message
	if err := m.Unpack(question); err != nil {
		return nil, err
	}
	m.Response, m.Additionals = true, nil
	q := m.Questions[0]
	found := answer(strings.ToLower(strings.TrimSuffix(q.Name.String(), ".")))
	if len(found) == 0 {
		m.RCode = dnsmessage.RCodeNameError
	}
	header := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class}
	for _, a := range found {
		switch {
		case q.Type == dnsmessage.TypeA && a.Is4():
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AResource{A: a.As4()}})
		case q.Type == dnsmessage.TypeAAAA && a.Is6():
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AAAAResource{AAAA: a.As16()}})
		}
	}
	return m.Pack()
}
