package httpsender_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/queue"
	"github.com/outbound-events/outbound/pkg/bustest"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/waittest"
	outboundv1 "github.com/outbound-events/outbound/proto/outbound/v1"
)

// fixture is the service, one recipient of it, and a receiver that counts what it gets by event id.
type fixture struct {
	t         *testing.T
	conn      *bus.Conn
	publisher *bus.Publisher

	// open says that the breaker has opened; failed counts attempts that did not succeed.
	open   atomic.Bool
	failed atomic.Int64

	mu  sync.Mutex
	got map[string]int
}

func newFixture(t *testing.T) *fixture {
	s := &fixture{t: t, conn: bustest.Start(t).Conn(), got: map[string]int{}}
	s.publisher = bus.NewPublisher(s.conn)
	t.Cleanup(s.publisher.Close)
	return s
}

// send runs the service with a recipient at a URL.
func (s *fixture) send(url string, interval, timeout time.Duration) {
	s.t.Helper()
	target := &outboundv1.HttpRecipient{
		Url: url, RetryInterval: durationpb.New(interval), RetryDuration: durationpb.New(time.Hour), Timeout: durationpb.New(timeout),
	}
	seen := startReplica(s.t, s.conn, nil, httpRecipient("crm", []string{"support_conference_member_added"}, target)).seen
	done := make(chan struct{})
	s.t.Cleanup(func() { close(done) })
	go func() {
		for {
			select {
			case r := <-seen.reports:
				if r.BreakerOpen {
					s.open.Store(true)
				}
				if r.Verdict.Kind == delivery.Retry {
					s.failed.Add(1)
				}
			case <-done:
				return
			}
		}
	}()
}

// receive is a receiver that notes each request and has answer say what to answer.
func (s *fixture) receive(answer func(id string, w http.ResponseWriter, q *http.Request)) *receiver {
	return newReceiver(s.t, nil, func(w http.ResponseWriter, q *http.Request) {
		// Only then the server hears that a client has gone.
		_, _ = io.Copy(io.Discard, q.Body)
		id := strings.TrimPrefix(q.Header.Get("webhook-id"), "appliance-1~")
		s.mu.Lock()
		s.got[id]++
		s.mu.Unlock()
		answer(id, w, q)
	})
}

func (s *fixture) event(id string) *event.Event {
	s.t.Helper()
	e, faults := event.Decode([]byte(strings.Replace(string(joined().Raw), "e-1", id, 1)))
	if len(faults) > 0 {
		s.t.Fatal(faults)
	}
	return e
}

func (s *fixture) publish(prefix string, n int) {
	s.t.Helper()
	for i := range n {
		if _, err := s.publisher.Accept(s.t.Context(), s.event(fmt.Sprint(prefix, i))); err != nil {
			s.t.Fatal(err)
		}
	}
}

// test does what the config service does for a test.
func (s *fixture) test(id string) {
	s.t.Helper()
	kept, err := s.publisher.Replay(s.t.Context(), "crm", s.event(id), bus.Replay{ID: id, Test: true})
	if err != nil {
		s.t.Fatal(err)
	}
	if err := queue.New(s.conn).Expedite(recipient.HTTP, "crm", []uint64{kept.Sequence}); err != nil {
		s.t.Fatal(err)
	}
}

// count is how many events with a prefix have come, and how often in all.
func (s *fixture) count(prefix string) (events, requests int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, n := range s.got {
		if strings.HasPrefix(id, prefix) {
			events, requests = events+1, requests+n
		}
	}
	return events, requests
}

func (s *fixture) until(what string, yes func() bool) {
	s.t.Helper()
	waittest.Until(s.t, what, yes)
}

func TestBadEventsHoldNeitherGoodOnesNorATestBack(t *testing.T) {
	for name, x := range map[string]struct {
		fail    func(http.ResponseWriter, *http.Request)
		timeout time.Duration
	}{
		"answered with 500": {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusInternalServerError) },
			10 * time.Second},
		"hanging": {func(_ http.ResponseWriter, q *http.Request) { <-q.Context().Done() }, 400 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			s := newFixture(t)
			r := s.receive(func(id string, w http.ResponseWriter, q *http.Request) {
				if strings.HasPrefix(id, "bad-") {
					x.fail(w, q)
				}
			})
			s.send(r.URL, 200*time.Millisecond, x.timeout)
			s.publish("bad-", 3)
			s.until("the bad ones are retried", func() bool { _, n := s.count("bad-"); return n >= 27 })
			_, before := s.count("bad-")
			s.publish("good-", 30)
			s.test("test-0")
			s.until("the good ones and the test arrive", func() bool {
				good, _ := s.count("good-")
				tests, _ := s.count("test-")
				return good == 30 && tests == 1
			})
			_, after := s.count("bad-")
			if after-before > 60 {
				t.Errorf("it took as long as %d further attempts of the bad ones", after-before)
			}
			s.until("the bad ones are retried on", func() bool { _, n := s.count("bad-"); return n >= after+4 })
		})
	}
}

// TestADeadReceiverIsConnectedToOncePerInterval has a receiver that denies each TLS handshake. (One that cuts it gets a few connections
// more, once, which find out what it wants.)
func TestADeadReceiverIsConnectedToOncePerInterval(t *testing.T) {
	const interval = 300 * time.Millisecond
	var connections atomic.Int64
	url := rawReceiver(t, func(_ int, c net.Conn) {
		connections.Add(1)
		_, _ = c.Read(make([]byte, 4096))
		_, _ = c.Write([]byte{21, 3, 3, 0, 2, 2, 49}) // the fatal alert access_denied, RFC 8446 section 6.2
	})
	s := newFixture(t)
	s.send(strings.Replace(url, "http://", "https://", 1), interval, 5*time.Second)
	s.publish("e-", 60)
	s.until("the breaker is open", s.open.Load)
	// What is under way when the breaker opens is no probe.
	s.until("what was under way is over", func() bool { return s.failed.Load() == connections.Load() })
	began, before := time.Now(), connections.Load()
	s.until("there were ten probes", func() bool { return connections.Load() >= before+10 })
	if took := time.Since(began); took < 9*interval*9/10 {
		t.Errorf("ten connections came within %v", took)
	}
}

func TestAReceiverThatFailsForAllIsProbedUntilItMends(t *testing.T) {
	const n, interval = 100, 300 * time.Millisecond
	s := newFixture(t)
	var mended atomic.Bool
	var delivered sync.Map
	r := s.receive(func(id string, w http.ResponseWriter, _ *http.Request) {
		if !mended.Load() {
			http.Error(w, "no", http.StatusInternalServerError)
			return
		}
		delivered.Store(id, true)
	})
	s.send(r.URL, interval, 5*time.Second)
	s.publish("e-", n)
	s.until("the breaker is open", s.open.Load)
	began := time.Now()
	_, before := s.count("e-")
	s.until("it is probed", func() bool { _, requests := s.count("e-"); return requests >= before+16+12 })
	_, after := s.count("e-")
	if most := 16 + 2*int(time.Since(began)/interval+2); after-before > most {
		t.Errorf("%d requests in %v, want at most %d", after-before, time.Since(began), most)
	}
	mended.Store(true)
	s.until("everything arrives", func() bool {
		arrived := 0
		delivered.Range(func(any, any) bool { arrived++; return true })
		return arrived == n
	})
}
