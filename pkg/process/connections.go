package process

import (
	"errors"
	"net"
	"sync"
	"time"
)

// ConnectionLimits bound the open connections of a listener.
type ConnectionLimits struct {
	// Connections is how many may be open, ConnectionsPerAddress how many of one address.
	Connections           int `yaml:"connections"`
	ConnectionsPerAddress int `yaml:"connectionsPerAddress"`
}

// DefaultConnectionLimits leave room for a reverse proxy, which is one address for everybody behind it.
func DefaultConnectionLimits() ConnectionLimits {
	return ConnectionLimits{Connections: 4096, ConnectionsPerAddress: 1024}
}

// Validate reports every fault at once.
func (o ConnectionLimits) Validate() error {
	var f Faults
	const most = 1_000_000
	if o.Connections < 1 || o.Connections > most {
		f.Add("connections", "%d is out of range: use 1 to %d", o.Connections, most)
	}
	if o.ConnectionsPerAddress < 1 || o.ConnectionsPerAddress > most {
		f.Add("connectionsPerAddress", "%d is out of range: use 1 to %d", o.ConnectionsPerAddress, most)
	}
	return f.Err()
}

// LimitConnections closes each connection of l that is beyond the limits as soon as it is there, with an answer if one is given, and calls
// refused about it, at most once a second, with how many there were since.
func LimitConnections(l net.Listener, o ConnectionLimits, answer string, refused func(address string, count int)) net.Listener {
	return &limitedListener{Listener: l, o: o, answer: []byte(answer), refused: refused, of: map[string]int{}}
}

// TooManyConnections is what an HTTP client is answered whose connection is refused (RFC 9110, 15.6.4).
const TooManyConnections = "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\nContent-Type: text/plain\r\n" +
	"Content-Length: 22\r\n\r\ntoo many connections\r\n"

type limitedListener struct {
	net.Listener
	o       ConnectionLimits
	answer  []byte
	refused func(address string, count int)

	mu   sync.Mutex
	open int
	of   map[string]int
	// unsaid is how many were refused since the last report, said when that was.
	unsaid int
	said   time.Time
}

// Accept implements net.Listener.
func (l *limitedListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err //nolint:wrapcheck // servers look at its type, and go on after one that is temporary
		}
		address := hostOf(c.RemoteAddr())
		if l.enter(address) {
			return &limitedConn{Conn: c, leave: sync.OnceFunc(func() { l.leave(address) })}, nil
		}
		if len(l.answer) > 0 {
			_ = c.SetWriteDeadline(time.Now().Add(time.Second))
			_, _ = c.Write(l.answer)
		}
		_ = c.Close()
	}
}

// SetDeadline bounds Accept, where the listener can.
func (l *limitedListener) SetDeadline(t time.Time) error {
	if d, ok := l.Listener.(deadliner); ok {
		return d.SetDeadline(t) //nolint:wrapcheck // it stands for the listener itself
	}
	return errors.ErrUnsupported
}

func hostOf(a net.Addr) string {
	host, _, err := net.SplitHostPort(a.String())
	if err != nil {
		return a.String()
	}
	return host
}

// enter counts a connection, or a refused one.
func (l *limitedListener) enter(address string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open < l.o.Connections && l.of[address] < l.o.ConnectionsPerAddress {
		l.open++
		l.of[address]++
		return true
	}
	l.unsaid++
	if now := time.Now(); now.Sub(l.said) > time.Second {
		l.refused(address, l.unsaid)
		l.unsaid, l.said = 0, now
	}
	return false
}

func (l *limitedListener) leave(address string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open--
	if l.of[address]--; l.of[address] == 0 {
		delete(l.of, address)
	}
}

// limitedConn gives its place up when it is closed.
type limitedConn struct {
	net.Conn
	leave func()
}

// Close implements net.Conn.
func (c *limitedConn) Close() error {
	c.leave()
	return c.Conn.Close() //nolint:wrapcheck // it stands for the connection itself
}
