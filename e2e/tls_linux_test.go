package e2e_test

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/net/http2/hpack"

	"github.com/outbound-events/outbound/e2e/harness"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// packets are what has been seen on loopback since it began, as far as it holds one of some texts.
type packets struct {
	// texts are looked for, by name, as they are and as HTTP/2 compresses headers.
	texts map[string][][]byte
	found map[string]int
	total int
	// end is sent over loopback: who sees it has seen all that came before it.
	end  []byte
	done chan struct{}
	fd   int
}

// capture counts texts in all packets on loopback until stop.
func capture(t *testing.T) *packets {
	t.Helper()
	const all = syscall.ETH_P_ALL<<8&0xff00 | syscall.ETH_P_ALL>>8
	fd, err := syscall.Socket(syscall.AF_PACKET, syscall.SOCK_RAW, all)
	if err != nil {
		t.Fatalf("open a packet socket: %v", err)
	}
	lo, err := net.InterfaceByName("lo")
	if err == nil {
		err = syscall.Bind(fd, &syscall.SockaddrLinklayer{Protocol: all, Ifindex: lo.Index})
	}
	if err == nil {
		err = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_RCVBUFFORCE, 256<<20)
	}
	if err == nil {
		err = syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &syscall.Timeval{Usec: 200_000})
	}
	if err != nil {
		t.Fatalf("listen on loopback: %v", err)
	}
	return &packets{texts: map[string][][]byte{}, found: map[string]int{}, end: []byte(rand.Text()), done: make(chan struct{}), fd: fd}
}

// look also looks for a text from now on. It is called before run.
func (p *packets) look(name, text string) {
	p.texts[name] = [][]byte{[]byte(text)}
	if len(text) > 16 {
		// The first and the last byte of the compressed form may be shared with its neighbours.
		packed := hpack.AppendHuffmanString(nil, text)
		p.texts[name] = append(p.texts[name], packed[1:len(packed)-1])
	}
}

// run reads packets until the function returned is called, which waits for those that have come. Others may use loopback all the time.
func (p *packets) run(t *testing.T) (stop func()) {
	go func() {
		defer close(p.done)
		buffer := make([]byte, 1<<17)
		for {
			n, from, err := syscall.Recvfrom(p.fd, buffer, 0)
			if err != nil { // nothing came for a while
				continue
			}
			if link, ok := from.(*syscall.SockaddrLinklayer); ok && link.Pkttype == syscall.PACKET_OUTGOING {
				continue // it comes again as incoming
			}
			if bytes.Contains(buffer[:n], p.end) {
				return
			}
			p.total++
			for name, forms := range p.texts {
				for _, form := range forms {
					p.found[name] += bytes.Count(buffer[:n], form)
				}
			}
		}
	}()
	return func() {
		t.Helper()
		waittest.Until(t, "the end of the packets to be seen", func() bool {
			p.sendEnd(t)
			select {
			case <-p.done:
				return true
			default:
				return false
			}
		})
		_ = syscall.Close(p.fd)
	}
}

// sendEnd sends the end, which may be lost among many packets, to a port where nobody need listen.
func (p *packets) sendEnd(t *testing.T) {
	t.Helper()
	c, err := net.Dial("udp", "127.0.0.1:9")
	if err != nil {
		t.Fatalf("send over loopback: %v", err)
	}
	defer func() { _ = c.Close() }()
	_, _ = c.Write(p.end) // that nobody listened to the one before is no failure
}

func TestNothingTravelsInPlainTextBetweenServicesWithTLS(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("capturing packets on loopback needs root")
	}
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("TLS %v", secure), func(t *testing.T) {
			h := harness.StartWith(t, &harness.System{Shape: harness.Services, Dir: t.TempDir(), Sync: "always", Senders: 1, TLS: secure})
			p, canary := capture(t), strings.ToLower(rand.Text())
			p.look("body", "body-"+canary)
			p.look("address", "address-"+canary)
			p.look("token", h.REST.Token)
			stop := p.run(t)
			site := harness.NewReceiver(t)
			a := h.AddAppliance(t, "a-"+canary[:8])
			h.AddRecipient(t, webhook("Canary", site.SecureURL("address-"+canary), []string{"support_conference_end"},
				harness.Object{"caCertificatePem": site.CAPEM()}))
			data := harness.Object{"external_key": "body-" + canary}
			publish(t, a, harness.NewEvent(a.ID, "by-nats", "support_conference_end", data))
			if _, err := a.Post(harness.NewEvent(a.ID, "by-post", "support_conference_end", data)); err != nil {
				t.Fatal(err)
			}
			arrived(t, site, "address-"+canary, 2)
			waittest.NoError(t, "both deliveries in the log", func() error {
				got := h.REST.Do(t, http.MethodGet, "/v1/deliveries?state=DELIVERED", nil)
				if list, _ := got["deliveries"].([]any); len(list) != 2 {
					return fmt.Errorf("it has %d", len(list))
				}
				return nil
			})
			stop()
			t.Logf("%d packets, found %v", p.total, p.found)
			if p.total < 100 {
				t.Errorf("only %d packets were seen", p.total)
			}
			for name := range p.texts {
				if n := p.found[name]; (n == 0) != secure {
					t.Errorf("the %s is in %d packets", name, n)
				}
			}
		})
	}
}
