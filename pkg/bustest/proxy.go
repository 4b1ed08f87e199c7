package bustest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/outbound-events/outbound/pkg/bus"
)

// Proxy is a broker's address that keeps back one message of a client on demand, while all others pass.
type Proxy struct {
	// URL is where clients connect.
	URL string

	t      testing.TB
	target string
	work   sync.WaitGroup

	mu   sync.Mutex
	open []net.Conn
	// version is what the broker pretends to be; empty: what it is.
	version string
	// hold is what to keep back next, all is what was ever to be.
	hold *Held
	all  []*Held
}

// Held is one message that is kept back.
type Held struct {
	// Arrived is closed once the message is there.
	Arrived chan struct{}

	match   func(subject, body string) bool
	skip    int
	release chan struct{}
	once    sync.Once
}

// Release lets the message go on. Releasing it twice is no error.
func (h *Held) Release() { h.once.Do(func() { close(h.release) }) }

// StartProxy starts a proxy in front of a server. It ends with the test.
func StartProxy(t testing.TB, to *Server) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listen for clients of the broker: %v", err)
	}
	target, err := url.Parse(to.URL())
	if err != nil {
		t.Fatalf("read the broker's address: %v", err)
	}
	p := &Proxy{t: t, URL: "nats://" + l.Addr().String(), target: target.Host}
	p.work.Go(func() { p.accept(l) })
	t.Cleanup(func() {
		_ = l.Close()
		p.mu.Lock()
		for _, h := range p.all {
			h.Release()
		}
		for _, c := range p.open {
			_ = c.Close()
		}
		p.mu.Unlock()
		p.work.Wait()
	})
	return p
}

// Conn connects through the proxy; the connection ends with the test.
func (p *Proxy) Conn() *bus.Conn {
	p.t.Helper()
	return connect(p.t, bus.Options{URL: p.URL})
}

// Hold keeps back the first message that matches by its subject and body, after so many others that match as well.
func (p *Proxy) Hold(skip int, match func(subject, body string) bool) *Held {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hold = &Held{Arrived: make(chan struct{}), release: make(chan struct{}), match: match, skip: skip}
	p.all = append(p.all, p.hold)
	return p.hold
}

// Pretend has the broker tell clients another version, and closes their connections, as if another server had taken its place. Empty: its
// own version.
func (p *Proxy) Pretend(version string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.version = version
	for _, c := range p.open {
		_ = c.Close()
	}
	p.open = nil
}

// info passes the broker's first line on, with the version that it pretends to have, and then everything else.
func (p *Proxy) info(client io.Writer, broker io.Reader) {
	in := bufio.NewReader(broker)
	line, err := in.ReadString('\n')
	if err != nil {
		return
	}
	p.mu.Lock()
	version := p.version
	p.mu.Unlock()
	if version != "" {
		line = regexp.MustCompile(`"version":"[^"]*"`).ReplaceAllString(line, `"version":"`+version+`"`)
	}
	if _, err := io.WriteString(client, line); err == nil {
		_, _ = io.Copy(client, in)
	}
}

// takes reports whether a message is the one to be kept back.
func (p *Proxy) takes(subject, body string) *Held {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.hold
	if h == nil || !h.match(subject, body) {
		return nil
	}
	if h.skip--; h.skip >= 0 {
		return nil
	}
	p.hold = nil
	return h
}

func (p *Proxy) accept(l net.Listener) {
	for {
		client, err := l.Accept()
		if err != nil {
			return
		}
		broker, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", p.target)
		if err != nil {
			_ = client.Close()
			continue
		}
		p.mu.Lock()
		p.open = append(p.open, client, broker)
		p.mu.Unlock()
		p.work.Go(func() {
			p.info(client, broker)
			_ = client.Close()
		})
		p.work.Go(func() {
			p.forward(client, broker)
			_ = broker.Close()
		})
	}
}

// forward passes a client's protocol lines on, each with its payload.
func (p *Proxy) forward(client io.Reader, broker io.Writer) {
	in := bufio.NewReader(client)
	var write sync.Mutex
	pass := func(b []byte) error {
		write.Lock()
		defer write.Unlock()
		_, err := broker.Write(b)
		return err
	}
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		subject, size, err := published(line)
		if err != nil {
			p.t.Errorf("a client of the broker said %q: %v", line, err)
			return
		}
		whole := append([]byte(line), make([]byte, size)...)
		if _, err := io.ReadFull(in, whole[len(line):]); err != nil {
			return
		}
		if h := p.takes(subject, string(whole[len(line):])); h != nil {
			close(h.Arrived)
			p.work.Go(func() {
				<-h.release
				_ = pass(whole)
			})
			continue
		}
		if err := pass(whole); err != nil {
			return
		}
	}
}

// published reads a PUB or HPUB line: its subject and the size of what follows. Of other lines nothing follows.
func published(line string) (subject string, size int, err error) {
	fields := strings.Fields(line)
	if len(fields) < 3 || fields[0] != "PUB" && fields[0] != "HPUB" {
		return "", 0, nil
	}
	if size, err = strconv.Atoi(fields[len(fields)-1]); err != nil {
		return "", 0, fmt.Errorf("read the size: %w", err)
	}
	return fields[1], size + len("\r\n"), nil
}
