// Package smtptest is a mail relay for tests: a real SMTP server on a real socket that keeps what it is sent and misbehaves
// as its script says.
package smtptest

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/mail"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/outbound-events/outbound/pkg/porttest"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// Options are what a server is like for its whole life. The zero value is a relay without encryption and sign-in.
type Options struct {
	// Implicit speaks TLS from the first byte. Otherwise, with a Certificate, STARTTLS is offered.
	Implicit bool
	// Certificate of the server; nil: no TLS at all. See NewCA.
	Certificate *tls.Certificate
	// Username and Password that AUTH takes. Without a name no AUTH is offered.
	Username, Password string
	// Takes, if set, says which passwords or tokens are taken, in place of Password. CRAM-MD5 is then not to be used.
	Takes func(secret string) bool
	// Mechanisms offered, of PLAIN, LOGIN, CRAM-MD5 and XOAUTH2. Nil: all of them.
	Mechanisms []string
	// AuthInClear offers AUTH on connections that are not encrypted.
	AuthInClear bool
	// Ciphers, if set, are the only cipher suites, and TLS 1.2 the only version.
	Ciphers []uint16
}

// Script is how a server misbehaves. It can be changed at any time with Server.Play. The zero value behaves.
type Script struct {
	// BannerDelay is waited before the banner; it ends early when the server closes.
	BannerDelay time.Duration
	// Banner is sent as the only line instead of the server's own, then the connection is closed.
	Banner string
	// HideSTARTTLS takes STARTTLS out of the answer to EHLO, as an attacker on the line would.
	HideSTARTTLS bool
	// Drip sends a byte at a time, with this pause behind each. It ends when the server closes.
	Drip time.Duration
	// Endless never ends the reply to EHLO.
	Endless bool
	// Hello, StartTLS, Auth, Mail and Data answer the commands with a reply, Data once the mail is here. Rcpt answers by address.
	Hello, StartTLS, Auth, Mail, Data *Reply
	Rcpt                              map[string]*Reply
	// DataCommand answers DATA itself, and closes the connection. It does so on lines that are not encrypted.
	DataCommand *Reply
	// Greylist answers 451 the first time that an address is named.
	Greylist bool
	// DataFor answers the end of a mail's data by address.
	DataFor map[string]*Reply
	// CutAfterData closes the connection when the whole mail is here, without an answer.
	CutAfterData bool
	// CutAtMail closes the connection at the MAIL command.
	CutAtMail bool
	// Times is how many commands Hello, Auth, Mail, Data, Rcpt, DataFor, CutAfterData or CutAtMail spoil before the server behaves; 0:
	// all of them.
	Times int
	// Hold delays the answer to each mail's data until it is closed.
	Hold <-chan struct{}
	// Stall makes the server fall silent at a step.
	Stall *Stall
}

// Reply is an answer of the server.
type Reply struct {
	Code    int
	Message string
}

// Mail is a mail that the server took, or held when it was cut.
type Mail struct {
	// From and To are the envelope's.
	From string
	To   []string
	// Raw is the mail to the byte; Header and Body are it taken apart.
	Raw    []byte
	Header mail.Header
	Body   []byte
	// TLS says whether it came encrypted, User who had signed in.
	TLS  bool
	User string
	// Connection counts the server's connections from 1.
	Connection int
	// Answered is false if the connection was cut before the answer.
	Answered bool
}

// Server is a running server.
type Server struct {
	options Options
	addr    *net.TCPAddr
	server  *smtp.Server

	listener net.Listener
	once     sync.Once
	closed   chan struct{}
	served   chan struct{}
	held     sync.Once
	holding  chan struct{}

	mu          sync.Mutex
	script      Script
	spoiled     int
	mails       []Mail
	heard       bytes.Buffer
	connections int
	open        map[*line]bool
	stalled     map[*line]bool
	// named are the addresses that were put off once by Greylist.
	named map[string]bool
}

// Start starts a server on the loopback interface. It is closed at the end of the test.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	l := porttest.Listen(t)
	s := &Server{
		options: o, addr: l.Addr().(*net.TCPAddr), listener: l, closed: make(chan struct{}), holding: make(chan struct{}),
		served: make(chan struct{}),
		open:   make(map[*line]bool), named: make(map[string]bool), stalled: make(map[*line]bool),
	}
	s.server = smtp.NewServer(smtp.BackendFunc(s.newSession))
	s.server.Domain = "relay.test"
	s.server.AllowInsecureAuth = o.AuthInClear
	s.server.ErrorLog = log.New(io.Discard, "", 0)
	s.server.EnableSMTPUTF8 = true
	if o.Certificate != nil {
		s.server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{*o.Certificate}, MinVersion: tls.VersionTLS12}
		if o.Ciphers != nil {
			s.server.TLSConfig.CipherSuites, s.server.TLSConfig.MaxVersion = o.Ciphers, tls.VersionTLS12
		}
	}
	go func() {
		defer close(s.served)
		_ = s.server.Serve(&listener{Listener: l, server: s}) // ends when the listener is closed
	}()
	t.Cleanup(s.Close)
	return s
}

// Host is the server's address without the port.
func (s *Server) Host() string { return s.addr.IP.String() }

// Port is the server's port.
func (s *Server) Port() int { return s.addr.Port }

// Play changes how the server misbehaves, from the next command on.
func (s *Server) Play(script Script) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script, s.spoiled = script, 0
}

// Mails is what the server took so far, in order.
func (s *Server) Mails() []Mail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Mail(nil), s.mails...)
}

// Await waits until the server holds n mails, and returns them.
func (s *Server) Await(t testing.TB, n int) (mails []Mail) {
	t.Helper()
	waittest.NoError(t, fmt.Sprint(n, " mails"), func() error {
		if mails = s.Mails(); len(mails) < n {
			return fmt.Errorf("%d came", len(mails))
		}
		return nil
	})
	return mails
}

// AwaitOpen waits until there are n connections.
func (s *Server) AwaitOpen(t testing.TB, n int) {
	t.Helper()
	waittest.NoError(t, fmt.Sprint(n, " connections"), func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.open) != n {
			return fmt.Errorf("there are %d", len(s.open))
		}
		return nil
	})
}

// Holding is closed once a mail is held by Script.Hold.
func (s *Server) Holding() <-chan struct{} { return s.holding }

// CountFor is how many mails the server answered for with 250, by address.
func (s *Server) CountFor(address string) int {
	n := 0
	for _, m := range s.Mails() {
		for _, to := range m.To {
			if m.Answered && strings.EqualFold(to, address) {
				n++
			}
		}
	}
	return n
}

// Connections is how many connections there have been.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.connections
}

// Open is how many connections there are now.
func (s *Server) Open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}

// Heard is everything that clients wrote, as it was on the line: encrypted where the line was.
func (s *Server) Heard() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.heard.String()
}

// Cut closes all connections, as a relay does that starts anew.
func (s *Server) Cut() {
	s.mu.Lock()
	open := slices.Collect(maps.Keys(s.open))
	s.mu.Unlock()
	for _, c := range open {
		_ = c.Close()
	}
}

// Close stops the server, cuts what is open and waits for the end of every session.
func (s *Server) Close() {
	s.once.Do(func() {
		close(s.closed)
		_ = s.listener.Close()
		<-s.served
		s.Cut()
		_ = s.server.Shutdown(context.Background())
	})
}

// spoil picks what the script does to a command, unless it has spoiled as many as it should; ok says that it does.
func (s *Server) spoil(pick func(Script) *Reply) (*Reply, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.script.Times > 0 && s.spoiled >= s.script.Times {
		return nil, false
	}
	r := pick(s.script)
	if r != nil {
		s.spoiled++
	}
	return r, r != nil
}

// putsOff says whether an address is greylisted: it is named for the first time.
func (s *Server) putsOff(to string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.script.Greylist || s.named[to] {
		return false
	}
	s.named[to] = true
	return true
}

func (s *Server) keep(m Mail) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mails = append(s.mails, m)
}

// playing is the script as it is now.
func (s *Server) playing() Script {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.script
}

func (s *Server) newSession(c *smtp.Conn) (smtp.Session, error) {
	if r, ok := s.spoil(func(p Script) *Reply { return p.Hello }); ok {
		return nil, r.err()
	}
	_, encrypted := c.TLSConnectionState()
	return &session{server: s, line: lineOf(c.Conn()), tls: encrypted}, nil
}

func parse(m *Mail) error {
	parsed, err := mail.ReadMessage(bytes.NewReader(m.Raw))
	if err != nil {
		return fmt.Errorf("parse the mail: %w", err)
	}
	m.Header = parsed.Header
	m.Body, err = io.ReadAll(parsed.Body)
	return err
}
