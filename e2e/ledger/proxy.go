package ledger

import (
	"fmt"
	"net"
	"sync"
	"time"
)

// link is a TCP proxy between two processes, which can be cut, fall silent or become slow.
type link struct {
	name, target string
	listener     net.Listener
	work         sync.WaitGroup

	mu   sync.Mutex
	mode linkMode
	// changed is closed when the mode changes.
	changed chan struct{}
	open    map[net.Conn]bool
}

// linkMode is the state of a link.
type linkMode int

const (
	linkUp linkMode = iota + 1
	// linkSlow delays each chunk and passes few bytes a second.
	linkSlow
	// linkSilent passes nothing, and closes nothing: what a firewall that drops packets does.
	linkSilent
	// linkCut resets all connections and refuses new ones.
	linkCut
)

// A slow link passes a chunk of at most slowChunk each slowDelay: about 300 KiB/s.
const (
	slowDelay = 50 * time.Millisecond
	slowChunk = 16 << 10
)

func openLink(name, target string) (*link, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for the link %s: %w", name, err)
	}
	k := &link{name: name, target: target, listener: l, mode: linkUp, changed: make(chan struct{}), open: map[net.Conn]bool{}}
	k.work.Go(k.accept)
	return k, nil
}

func (k *link) address() string { return k.listener.Addr().String() }

// set changes the mode.
func (k *link) set(m linkMode) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.mode = m
	close(k.changed)
	k.changed = make(chan struct{})
	if m == linkCut {
		k.hangUp()
	}
}

// hangUp resets all connections.
func (k *link) hangUp() {
	for c := range k.open {
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = c.Close()
	}
}

func (k *link) close() {
	_ = k.listener.Close()
	k.set(linkCut)
	k.work.Wait()
}

func (k *link) accept() {
	for {
		c, err := k.listener.Accept()
		if err != nil {
			return
		}
		k.work.Go(func() { k.join(c) })
	}
}

// join connects a client with the target.
func (k *link) join(c net.Conn) {
	defer func() { _ = c.Close() }()
	if !k.keep(c) {
		return
	}
	defer k.forget(c)
	d, err := net.Dial("tcp", k.target) //nolint:noctx // ends by itself on loopback
	if err != nil {
		return
	}
	defer func() { _ = d.Close() }()
	if !k.keep(d) {
		return
	}
	defer k.forget(d)
	var both sync.WaitGroup
	both.Go(func() { k.copy(c, d) })
	both.Go(func() { k.copy(d, c) })
	both.Wait()
}

func (k *link) keep(c net.Conn) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.mode == linkCut {
		return false
	}
	k.open[c] = true
	return true
}

func (k *link) forget(c net.Conn) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.open, c)
}

// copy passes bytes on as the mode says. The end of one direction ends both.
func (k *link) copy(to, from net.Conn) {
	defer func() { _ = to.Close(); _ = from.Close() }()
	b := make([]byte, slowChunk)
	for {
		n, err := from.Read(b)
		if n > 0 {
			if !k.pass() {
				return
			}
			if _, err := to.Write(b[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// pass waits until a chunk may go on; false: the link is cut.
func (k *link) pass() bool {
	slowed := false
	for {
		k.mu.Lock()
		mode, changed := k.mode, k.changed
		k.mu.Unlock()
		switch {
		case mode == linkCut:
			return false
		case mode == linkSilent:
			<-changed
		case mode == linkSlow && !slowed:
			slowed = true
			t := time.NewTimer(slowDelay)
			select {
			case <-changed:
			case <-t.C:
			}
			t.Stop()
		default:
			return true
		}
	}
}
