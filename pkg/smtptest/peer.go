package smtptest

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/outbound-events/outbound/pkg/waittest"
)

// PeerScript is what a peer says, to the byte. What is not set is what an ordinary relay says.
type PeerScript struct {
	// Banner is sent at once; Silent sends nothing until the peer is closed.
	Banner string
	Silent bool
	// Hello are the lines of the reply to EHLO, with their codes.
	Hello []string
	// Answer replies to a command, with its code and without the last line end; empty: as usual. It may block until Closed is closed.
	Answer func(Command) string
	// Certificate, if set, is the server's: STARTTLS is understood, whatever Hello says, or with Implicit TLS comes first.
	Certificate *tls.Certificate
	Implicit    bool
}

// HangUp behind an answer closes the connection after it; alone, it closes without one.
const HangUp = "\x00"

// Command is what a client says, with what is known of its connection. Verb is in upper case, "." for the end of a mail's data.
type Command struct {
	Verb, Line string
	// To is the address of the mail under way, from RCPT on.
	To string
	// Connection counts from 1, Taken the mails that were taken on it, Commands the commands on it with this one.
	Connection, Taken, Commands int
	TLS                         bool
	// Closed is closed with the peer.
	Closed <-chan struct{}
}

// Peer is a relay whose every reply a test may write. It keeps what it answered with 2xx.
type Peer struct {
	listener net.Listener
	closed   chan struct{}
	once     sync.Once
	wg       sync.WaitGroup

	mu     sync.Mutex
	script PeerScript
	mails  []Mail
	heard  []Command
	conns  map[net.Conn]bool
	count  int
}

// StartPeer starts a peer on the loopback interface. It is closed at the end of the test.
func StartPeer(t testing.TB, script PeerScript) *Peer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listen for mail: %v", err)
	}
	p := &Peer{listener: l, closed: make(chan struct{}), script: script, conns: map[net.Conn]bool{}}
	p.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.wg.Go(func() { p.serve(c) })
		}
	})
	t.Cleanup(p.Close)
	return p
}

// Host is the peer's address without the port, Port its port.
func (p *Peer) Host() string { return "127.0.0.1" }

// Port is the peer's port.
func (p *Peer) Port() int { return p.listener.Addr().(*net.TCPAddr).Port }

// Play changes what the peer says, from the next command on.
func (p *Peer) Play(script PeerScript) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.script = script
}

// Close ends the peer and its connections.
func (p *Peer) Close() {
	p.once.Do(func() {
		close(p.closed)
		_ = p.listener.Close()
		p.mu.Lock()
		for c := range p.conns {
			_ = c.Close()
		}
		p.mu.Unlock()
		p.wg.Wait()
	})
}

// Mails are what it took, in order.
func (p *Peer) Mails() []Mail {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]Mail(nil), p.mails...)
}

// CountFor is how many mails it took for an address.
func (p *Peer) CountFor(address string) (n int) {
	for _, m := range p.Mails() {
		if strings.EqualFold(m.To[0], address) {
			n++
		}
	}
	return n
}

// Connections is how many connections there have been.
func (p *Peer) Connections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count
}

// Heard are the commands so far, without what signs in.
func (p *Peer) Heard() []Command {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]Command(nil), p.heard...)
}

// AwaitHeard waits until a command was heard n times.
func (p *Peer) AwaitHeard(t testing.TB, verb string, n int) {
	t.Helper()
	waittest.NoError(t, fmt.Sprintf("%s to be heard %d times", verb, n), func() error {
		have := 0
		for _, c := range p.Heard() {
			if c.Verb == verb {
				have++
			}
		}
		if have < n {
			return fmt.Errorf("heard %d times", have)
		}
		return nil
	})
}

// talk is one connection.
type talk struct {
	p    *Peer
	c    net.Conn
	in   *bufio.Reader
	cmd  Command
	from string
}

func (p *Peer) serve(c net.Conn) {
	p.mu.Lock()
	p.conns[c] = true
	p.count++
	t := &talk{p: p, c: c, cmd: Command{Connection: p.count, Closed: p.closed}}
	script := p.script
	p.mu.Unlock()
	defer func() {
		_ = c.Close()
		p.mu.Lock()
		delete(p.conns, c)
		p.mu.Unlock()
	}()
	if script.Silent {
		<-p.closed
		return
	}
	if script.Implicit {
		t.encrypt(script)
	}
	t.in = bufio.NewReader(t.c)
	banner := script.Banner
	if banner == "" {
		banner = "220 peer.test ESMTP"
	}
	for ok := t.say(banner); ok; {
		line, err := t.in.ReadString('\n')
		if err != nil {
			return
		}
		ok = t.hear(strings.TrimRight(line, "\r\n"))
	}
}

func (t *talk) encrypt(script PeerScript) {
	t.c = tls.Server(t.c, &tls.Config{Certificates: []tls.Certificate{*script.Certificate}, MinVersion: tls.VersionTLS12})
	t.cmd.TLS = true
}

// say answers; false: the connection is over.
func (t *talk) say(answer string) bool {
	text, end := strings.CutSuffix(answer, HangUp)
	if text != "" {
		if _, err := t.c.Write([]byte(text + "\r\n")); err != nil {
			return false
		}
	}
	return !end
}

// hear answers a command.
func (t *talk) hear(line string) bool {
	t.cmd.Line = line
	t.cmd.Verb, _, _ = strings.Cut(strings.ToUpper(line), " ")
	if t.cmd.Verb == "RCPT" {
		t.cmd.To = between(line)
	}
	if t.cmd.Verb == "MAIL" {
		t.from, t.cmd.To = between(line), ""
	}
	script := t.next()
	answer := ""
	if script.Answer != nil {
		answer = script.Answer(t.cmd)
	}
	switch {
	case t.cmd.Verb == "STARTTLS" && answer == "" && script.Certificate != nil:
		if !t.say("220 go ahead") {
			return false
		}
		t.encrypt(script)
		t.in = bufio.NewReader(t.c)
		return true
	case t.cmd.Verb == "DATA" && (answer == "" || strings.HasPrefix(answer, "354")):
		return t.say("354 go on") && t.data()
	case answer == "":
		answer = t.usual(script)
	}
	return t.say(answer)
}

// next counts a command.
func (t *talk) next() PeerScript {
	t.p.mu.Lock()
	defer t.p.mu.Unlock()
	t.cmd.Commands++
	t.p.heard = append(t.p.heard, t.cmd)
	return t.p.script
}

// usual is what an ordinary relay answers.
func (t *talk) usual(script PeerScript) string {
	switch t.cmd.Verb {
	case "EHLO":
		if script.Hello != nil {
			return strings.Join(script.Hello, "\r\n")
		}
		return "250-peer.test\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES"
	case "AUTH":
		return t.auth()
	case "QUIT":
		return "221 2.0.0 bye" + HangUp
	default:
		return "250 2.0.0 ok"
	}
}

// auth takes any name and password by PLAIN or LOGIN.
func (t *talk) auth() string {
	if strings.HasSuffix(strings.ToUpper(t.cmd.Line), " LOGIN") {
		for _, ask := range []string{"Username:", "Password:"} {
			if !t.say("334 " + base64.StdEncoding.EncodeToString([]byte(ask))) {
				return HangUp
			}
			if _, err := t.in.ReadString('\n'); err != nil {
				return HangUp
			}
		}
	}
	return "235 2.7.0 ok"
}

// data takes a mail and answers its end.
func (t *talk) data() bool {
	var raw bytes.Buffer
	for {
		line, err := t.in.ReadString('\n')
		if err != nil {
			return false
		}
		if line == ".\r\n" {
			break
		}
		raw.WriteString(strings.TrimPrefix(line, "."))
	}
	t.cmd.Verb, t.cmd.Line = ".", "."
	script := t.next()
	answer := ""
	if script.Answer != nil {
		answer = script.Answer(t.cmd)
	}
	if answer == "" {
		answer = "250 2.0.0 queued"
	}
	if strings.HasPrefix(answer, "2") {
		m := Mail{From: t.from, To: []string{t.cmd.To}, Raw: raw.Bytes(), TLS: t.cmd.TLS, Connection: t.cmd.Connection, Answered: true}
		_ = parse(&m) // what is no mail has no headers
		t.p.mu.Lock()
		t.p.mails = append(t.p.mails, m)
		t.p.mu.Unlock()
		t.cmd.Taken++
	}
	return t.say(answer)
}

// between is the address of a command.
func between(line string) string {
	_, rest, _ := strings.Cut(line, "<")
	address, _, _ := strings.Cut(rest, ">")
	return address
}
