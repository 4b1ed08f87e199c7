package smtptest

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/certtest"
)

// listener hands out lines.
type listener struct {
	net.Listener
	server *Server
}

// Accept waits for a connection.
func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	s := l.server
	s.mu.Lock()
	s.connections++
	ln := &line{Conn: c, server: s, number: s.connections}
	s.open[ln] = true
	s.mu.Unlock()
	if s.options.Implicit {
		return tls.Server(ln, s.server.TLSConfig), nil
	}
	return ln, nil
}

// line is a connection as an attacker on the way sees it: it keeps what the client says and changes what the server says.
type line struct {
	net.Conn
	server *Server
	number int
	banner sync.Once
	hangUp atomic.Bool
	// step is where the client is, guarded by the server's mu.
	step Step
}

// Read reads what the client says.
func (l *line) Read(b []byte) (int, error) {
	n, err := l.Conn.Read(b)
	l.server.mu.Lock()
	defer l.server.mu.Unlock()
	l.server.heard.Write(b[:n])
	l.hear(b[:n])
	return n, err
}

// Write sends what the server says, as far as the script lets it.
func (l *line) Write(b []byte) (int, error) {
	script := l.server.playing()
	gone := false
	l.banner.Do(func() {
		if script.BannerDelay > 0 {
			t := time.NewTimer(script.BannerDelay)
			defer t.Stop()
			select {
			case <-t.C:
			case <-l.server.closed:
			}
		}
		if script.Banner != "" {
			_, _ = l.Conn.Write([]byte(script.Banner + "\r\n"))
			_ = l.Close()
			gone = true
		}
	})
	if gone || script.HideSTARTTLS && bytes.Equal(b, []byte("250-STARTTLS\r\n")) {
		return len(b), nil
	}
	l.stall(b, script)
	if r := instead(script, b); r != nil {
		_, _ = fmt.Fprintf(l.Conn, "%d %s\r\n", r.Code, r.Message)
		_ = l.Close()
		return len(b), nil
	}
	if script.Endless && bytes.HasPrefix(b, []byte("250")) {
		return 0, l.goOn()
	}
	n, err := l.send(b, script.Drip)
	if l.hangUp.Load() {
		_ = l.Close()
	}
	return n, err
}

// instead is what the script says in place of an invitation that the server gives by itself.
func instead(script Script, b []byte) *Reply {
	switch {
	case bytes.HasPrefix(b, []byte("220 2.0.0 Ready to start TLS")):
		return script.StartTLS
	case bytes.HasPrefix(b, []byte("354 ")):
		return script.DataCommand
	default:
		return nil
	}
}

// goOn says lines of a reply until the client has enough.
func (l *line) goOn() error {
	for {
		if _, err := l.Conn.Write([]byte("250-and another thing\r\n")); err != nil {
			_ = l.Close()
			return err
		}
	}
}

// send sends all at once, or a byte at a time with a pause behind each.
func (l *line) send(b []byte, pause time.Duration) (int, error) {
	if pause <= 0 {
		return l.Conn.Write(b)
	}
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for i := range b {
		if _, err := l.Conn.Write(b[i : i+1]); err != nil {
			return i, err
		}
		select {
		case <-tick.C:
		case <-l.server.closed:
		}
	}
	return len(b), nil
}

// Close closes the connection.
func (l *line) Close() error {
	l.server.mu.Lock()
	delete(l.server.open, l)
	l.server.mu.Unlock()
	return l.Conn.Close()
}

// lineOf finds the line under a connection.
func lineOf(c net.Conn) *line {
	for {
		switch x := c.(type) {
		case *line:
			return x
		case *tls.Conn:
			c = x.NetConn()
		default:
			return nil
		}
	}
}

// CA is a certificate authority of a test.
type CA struct {
	// PEM is its certificate.
	PEM  string
	pair certtest.Pair
}

// NewCA makes an authority.
func NewCA(t testing.TB) *CA {
	t.Helper()
	pair := certtest.Authority(t, "smtptest")
	return &CA{PEM: pair.PEM, pair: pair}
}

// Issue makes a server's certificate for host names and addresses.
func (ca *CA) Issue(t testing.TB, hosts ...string) *tls.Certificate {
	t.Helper()
	pair := ca.pair.Issue(t, func(c *x509.Certificate) {
		c.Subject.CommonName, c.KeyUsage = "relay.test", x509.KeyUsageDigitalSignature
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		for _, h := range hosts {
			if ip := net.ParseIP(h); ip != nil {
				c.IPAddresses = append(c.IPAddresses, ip)
			} else {
				c.DNSNames = append(c.DNSNames, h)
			}
		}
	}).TLS()
	return &pair
}
