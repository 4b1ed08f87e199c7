package audits

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/outbound-events/outbound/pkg/audit"
)

// The severities of RFC 5424, 6.2.1.
const (
	severityWarning = 4
	severityInfo    = 6
)

// maxDatagram is the most bytes of a message over UDP (RFC 5426, 3.2).
const maxDatagram = 60_000

// syslog sends messages of RFC 5424: over UDP (RFC 5426), TCP with octet counting (RFC 6587, 3.4.1) or TLS (RFC 5425).
type syslog struct {
	o    SyslogOptions
	tls  *tls.Config
	host string
	conn net.Conn
}

func newSyslog(o SyslogOptions, c *tls.Config) *syslog {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "-"
	}
	return &syslog{o: o, tls: c, host: host}
}

// message is an entry in RFC 5424, 6: the text is JSON.
func (s *syslog) message(e audit.Stored) ([]byte, error) {
	text, err := body(e)
	if err != nil {
		return nil, err
	}
	severity := severityInfo
	if e.Outcome != audit.OK {
		severity = severityWarning
	}
	id := strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return '_'
		}
		return r
	}, e.Action)
	head := fmt.Sprintf("<%d>1 %s %s outbound %d %.32s - ", s.o.Facility*8+severity, e.Time.UTC().Format("2006-01-02T15:04:05.000000Z"),
		s.host, os.Getpid(), id)
	return append([]byte(head), text...), nil
}

// send implements sink. A connection that the server has closed is noticed with the next message at the latest.
func (s *syslog) send(ctx context.Context, e audit.Stored) error {
	m, err := s.message(e)
	if err != nil {
		return err
	}
	if s.conn == nil {
		if s.conn, err = s.dial(ctx); err != nil {
			return fmt.Errorf("connect to %s: %w", s.o.Address, err)
		}
	}
	if s.o.Network == networkUDP {
		m = m[:min(len(m), maxDatagram)]
	} else {
		m = append([]byte(strconv.Itoa(len(m))+" "), m...)
	}
	if s.o.Network != networkUDP && s.closed() {
		s.close()
		return fmt.Errorf("%s has closed the connection", s.o.Address)
	}
	deadline, ok := ctx.Deadline()
	if ok {
		err = s.conn.SetWriteDeadline(deadline)
	}
	if err == nil {
		_, err = s.conn.Write(m)
	}
	if err != nil {
		s.close()
		return fmt.Errorf("write to %s: %w", s.o.Address, err)
	}
	return nil
}

// closed reports whether the server has closed the connection: it never sends anything.
func (s *syslog) closed() bool {
	if err := s.conn.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
		return true
	}
	_, err := s.conn.Read(make([]byte, 1))
	timeout, ok := err.(net.Error) //nolint:errorlint // of a connection itself
	return err != nil && (!ok || !timeout.Timeout())
}

func (s *syslog) dial(ctx context.Context) (net.Conn, error) {
	if s.o.Network == networkTLS {
		return (&tls.Dialer{Config: s.tls}).DialContext(ctx, networkTCP, s.o.Address)
	}
	return (&net.Dialer{}).DialContext(ctx, s.o.Network, s.o.Address)
}

// close implements sink.
func (s *syslog) close() {
	if s.conn != nil {
		_ = s.conn.Close()
		s.conn = nil
	}
}
