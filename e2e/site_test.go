package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/outbound-events/outbound/e2e/harness"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// uplink is the line from a site to Outbound, which can be cut.
type uplink struct {
	listener net.Listener
	to       string

	mu    sync.Mutex
	cut   bool
	lines []net.Conn
}

func newUplink(t *testing.T, to string) *uplink {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u := &uplink{listener: l, to: to}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { u.carry(c) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		u.set(true)
		serving.Wait()
	})
	return u
}

// carry carries a connection until it ends or the line is cut.
func (u *uplink) carry(c net.Conn) {
	defer func() { _ = c.Close() }()
	out, err := net.Dial("tcp", u.to)
	if err != nil {
		return
	}
	defer func() { _ = out.Close() }()
	u.mu.Lock()
	cut := u.cut
	u.lines = append(u.lines, c, out)
	u.mu.Unlock()
	if cut {
		return
	}
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{c, out}, {out, c}} {
		both.Go(func() {
			_, _ = io.Copy(way[0], way[1])
			_ = way[0].Close()
		})
	}
	both.Wait()
}

func (u *uplink) set(cut bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.cut = cut; !cut {
		return
	}
	for _, c := range u.lines {
		_ = c.Close()
	}
	u.lines = nil
}

// siteServer is the nats-server of a site, and a connection of the appliance there.
func siteServer(t *testing.T) (url string, nc *nats.Conn) {
	t.Helper()
	at, dir := harness.FreeAddress(t), t.TempDir()
	host, port, _ := net.SplitHostPort(at)
	p, err := harness.Launch(harness.Command{Name: "site", Path: harness.Binary("nats-server"), Log: filepath.Join(dir, "log"),
		Args: []string{"-js", "-sd", filepath.Join(dir, "store"), "-a", host, "-p", port}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	waittest.NoError(t, "the site's nats-server", func() (err error) {
		nc, err = nats.Connect("nats://" + at)
		return err
	})
	t.Cleanup(nc.Close)
	return "nats://" + at, nc
}

// keptSite is a site of an appliance, with an uplink to a system.
type keptSite struct {
	url, token string
	nc         *nats.Conn
	line       *uplink
	// sent is how many events the site has kept.
	sent int
}

func newKeptSite(t *testing.T, h *harness.System, appliance string) *keptSite {
	t.Helper()
	s := &keptSite{line: newUplink(t, strings.TrimPrefix(h.REST.Base, "http://")), token: filepath.Join(t.TempDir(), "token")}
	s.url, s.nc = siteServer(t)
	if err := os.WriteFile(s.token, []byte(h.AddAppliance(t, appliance).Token), 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

// forward starts a forwarder.
func (s *keptSite) forward(t *testing.T, more ...string) *harness.Process {
	t.Helper()
	p, err := harness.Launch(harness.Command{Name: "forward", Path: harness.Binary("outbound"), Log: filepath.Join(t.TempDir(), "log"),
		Args: append([]string{"events", "forward", "--url", "http://" + s.line.listener.Addr().String(), "--token-file", s.token, "--nats", s.url,
			"--stream", "SITE", "--subject", "site.events.>"}, more...)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	return p
}

// keep has the site keep an event.
func (s *keptSite) keep(t *testing.T, raw []byte) {
	t.Helper()
	ctx, cancel := waittest.Context(context.Background())
	defer cancel()
	answer, err := s.nc.RequestWithContext(ctx, "site.events."+ended, raw)
	if err != nil || !strings.Contains(string(answer.Data), `"stream":"SITE"`) {
		t.Fatalf("the site did not keep %s: %v", raw, err)
	}
}

// keepNext has the site keep n more events of an appliance.
func (s *keptSite) keepNext(t *testing.T, appliance string, n int) {
	t.Helper()
	for range n {
		raw, err := json.Marshal(harness.NewEvent(appliance, fmt.Sprintf("s-%03d", s.sent), ended, nil))
		if err != nil {
			t.Fatal(err)
		}
		s.keep(t, raw)
		s.sent++
	}
}

// A site keeps its events while it has no uplink, and each arrives once when it has one again, though the forwarder is killed in between.
func TestASiteWithoutUplinkKeepsItsEventsAndForwardsThemLater(t *testing.T) {
	t.Parallel()
	h := harness.Start(t, harness.AllInOne)
	r := harness.NewReceiver(t)
	h.AddRecipient(t, webhook("desk", r.URL("desk"), []string{ended}, nil))
	s := newKeptSite(t, h, "site-1")
	first := s.forward(t)
	waittest.Until(t, "the stream of the site", func() bool { return strings.Contains(first.Output(), "0 waiting") })
	s.keepNext(t, "site-1", 20)
	arrived(t, r, "desk", 20)
	s.line.set(true)
	s.keepNext(t, "site-1", 60)
	waittest.Until(t, "the forwarder to say that events wait", func() bool { return strings.Contains(first.Output(), "events wait: reach ") })
	first.Kill()
	s.line.set(false)
	second := s.forward(t)
	arrived(t, r, "desk", 40)
	second.Kill() // in the middle, or nearly so
	s.keepNext(t, "site-1", 20)
	// An event that Outbound will never accept does not hold the others.
	s.keep(t, []byte(`{"id":"bad","source":"site-1","type":"none"}`))
	last := s.forward(t, "--once", "-o", "json")
	if code, err := last.Wait(); err != nil || code != 0 || !strings.Contains(last.Output(), `"rejected": 1`) {
		t.Fatalf("exit code %d, %v: %s", code, err, last.Output())
	}
	arrived(t, r, "desk", s.sent)
	if n := len(r.Of("desk")); n != s.sent {
		t.Errorf("%d requests for %d events", n, s.sent)
	}
	waittest.Until(t, "the bad event to be among the rejected ones", func() bool {
		rejected, _ := h.REST.Do(t, http.MethodGet, "/v1/events?decision=REJECTED", nil)["events"].([]any)
		return len(rejected) == 1
	})
}
