package bus_test

import (
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/bustest"
	"github.com/outbound-events/outbound/pkg/delivery"
)

// deafProxy passes on what clients send to a broker. It keeps the broker's answers back while it is told to.
type deafProxy struct {
	t        *testing.T
	listener net.Listener
	to       string

	mu    sync.Mutex
	deaf  bool
	conns []net.Conn
	wg    sync.WaitGroup
}

func newDeafProxy(t *testing.T, to string) *deafProxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &deafProxy{t: t, listener: l, to: to}
	p.wg.Go(p.accept)
	t.Cleanup(func() {
		_ = l.Close()
		p.cut()
		p.wg.Wait()
	})
	return p
}

func (p *deafProxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.to)
		if err != nil {
			_ = client.Close()
			continue
		}
		p.mu.Lock()
		p.conns = append(p.conns, client, server)
		p.mu.Unlock()
		p.wg.Go(func() { _, _ = io.Copy(server, client); _ = server.Close() })
		p.wg.Go(func() { p.answers(client, server) })
	}
}

// answers passes on what the broker says, unless the proxy is deaf.
func (p *deafProxy) answers(client, server net.Conn) {
	defer func() { _ = client.Close() }()
	b := make([]byte, 64<<10)
	for {
		n, err := server.Read(b)
		p.mu.Lock()
		deaf := p.deaf
		p.mu.Unlock()
		if err != nil {
			return
		}
		if deaf {
			continue
		}
		if _, err := client.Write(b[:n]); err != nil {
			return
		}
	}
}

func (p *deafProxy) setDeaf(deaf bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deaf = deaf
}

// cut ends all connections.
func (p *deafProxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		_ = c.Close()
	}
	p.conns = nil
}

// A record may be stored though its answer is lost, and be repeated when the stream has forgotten its message id.
func TestARecordWhoseAnswerWasLostIsNotStoredAgain(t *testing.T) {
	b := bustest.Start(t)
	seen := b.Conn()
	logBounds(t, seen, func(c *jetstream.StreamConfig, _ jetstream.StreamState) { c.Duplicates = 100 * time.Millisecond })
	p := newDeafProxy(t, b.URL()[len("nats://"):])
	c, err := bus.Connect(t.Context(), bus.Options{URL: "nats://" + p.listener.Addr().String(), RepeatFor: 300 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	h := deliverylog.New(c)
	defer h.Close()
	stored := deliverylog.New(seen)
	defer stored.Close()
	p.setDeaf(true)
	answer := make(chan error, 1)
	began := time.Now()
	h.AppendIntake(intake(newEvent(t, "e-1")), func(err error) { answer <- err })
	for found := false; !found || time.Since(began) < 400*time.Millisecond; {
		if _, found, err = stored.Intake(t.Context(), "a1", "e-1"); err != nil {
			t.Fatal(err)
		}
	}
	p.setDeaf(false)
	p.cut()
	if err := <-answer; err != nil && !errors.Is(err, delivery.ErrAlreadyRecorded) {
		t.Errorf("the record ended with: %v", err)
	}
	if n, err := stored.LastSequence(t.Context()); n != 1 || err != nil {
		t.Errorf("the record is stored %d times, %v", n, err)
	}
}
