package httpsender_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/porttest"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/services/httpsender"
)

func quiet() *log.Logger { return log.New(io.Discard, "", 0) }

// attempt makes one attempt and judges it; its words must hold no secret of the URL.
func attempt(t *testing.T, s delivery.Sender, d *delivery.Delivery) (delivery.Outcome, delivery.Verdict) {
	t.Helper()
	o := s.Send(t.Context(), d)
	v := s.Judge(d, o)
	if o.Began.IsZero() {
		t.Error("the outcome does not say when the attempt began")
	}
	if strings.Contains(o.Detail+v.Detail, "canary") {
		t.Errorf("a secret of the URL is in %q or %q", o.Detail, v.Detail)
	}
	return o, v
}

func TestRequestsReuseConnections(t *testing.T) {
	for name, answer := range map[string]func(w http.ResponseWriter){
		"empty":            func(http.ResponseWriter) {},
		"short":            func(w http.ResponseWriter) { fmt.Fprint(w, "ok") },
		"of unknown size":  func(w http.ResponseWriter) { fmt.Fprint(w, "o"); w.(http.Flusher).Flush(); fmt.Fprint(w, "k") },
		"failing":          func(w http.ResponseWriter) { http.Error(w, "no", http.StatusInternalServerError) },
		"above an excerpt": func(w http.ResponseWriter) { fmt.Fprint(w, strings.Repeat("x", 40<<10)) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newReceiver(t, nil, func(w http.ResponseWriter, _ *http.Request) { answer(w) })
			s := newSender(t)
			for range 20 {
				attempt(t, s, deliveryTo(r.URL))
			}
			if r.requests.Load() != 20 || r.connections.Load() != 1 {
				t.Errorf("%d requests over %d connections, want 20 over 1", r.requests.Load(), r.connections.Load())
			}
		})
	}
}

func TestNewRevisionHasNewConnections(t *testing.T) {
	r := newReceiver(t, nil, func(http.ResponseWriter, *http.Request) {})
	s := newSender(t)
	change := func(start, revision uint64) func(*recipient.Recipient) {
		return func(r *recipient.Recipient) { r.StartSequence, r.Revision = start, revision }
	}
	for _, c := range []struct {
		name            string
		start, revision uint64
		connections     int64
	}{
		{"first", 1, 5, 1}, {"again", 1, 5, 1}, {"a delivery begun before the change", 1, 4, 1}, {"changed", 1, 6, 2},
		{"deleted and made again", 9, 1, 3},
	} {
		before := r.connections.Load()
		if _, v := attempt(t, s, deliveryTo(r.URL, change(c.start, c.revision))); v.Kind != delivery.Delivered {
			t.Fatalf("%s: %+v", c.name, v)
		}
		if got := r.connections.Load(); got != c.connections {
			t.Errorf("%s: %d connections, want %d", c.name, got, c.connections)
		}
		if before > 0 && r.connections.Load() > before {
			<-r.closed // the idle connection of the old revision
		}
	}
}

func TestBrokenKeptConnectionIsTriedOnceMoreAtOnce(t *testing.T) {
	var requests atomic.Int64
	url := rawReceiver(t, func(n int, c net.Conn) {
		in := bufio.NewReader(c)
		for {
			q, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			if _, err := io.Copy(io.Discard, q.Body); err != nil {
				return
			}
			if requests.Add(1) == 2 {
				return // the second request on the first connection gets no answer
			}
			fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		}
	})
	s := newSender(t)
	for i := range 2 {
		if o, v := attempt(t, s, deliveryTo(url)); v.Kind != delivery.Delivered {
			t.Fatalf("attempt %d: %+v", i+1, o)
		}
	}
	if n := requests.Load(); n != 3 {
		t.Errorf("%d requests, want 3: one, one that met a broken connection, and its repeat", n)
	}
}

func TestNewConnectionThatBreaksIsNotTriedAgain(t *testing.T) {
	var requests atomic.Int64
	url := rawReceiver(t, func(_ int, c net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
			requests.Add(1)
		}
	})
	o, v := attempt(t, newSender(t), deliveryTo(url))
	if o.Fault != delivery.FaultCut || v.Kind != delivery.Retry || v.Reason != reasons.ConnectionCut {
		t.Errorf("got %+v, %+v", o, v)
	}
	if n := requests.Load(); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
}

// TestBadReceivers plays what receivers do wrong over bare TCP.
func TestBadReceivers(t *testing.T) {
	request := func(c net.Conn) { _, _ = http.ReadRequest(bufio.NewReader(c)) }
	say := func(text string) func(int, net.Conn) {
		return func(_ int, c net.Conn) { request(c); fmt.Fprint(c, text); untilHalf(c) }
	}
	for _, c := range []struct {
		name    string
		serve   func(int, net.Conn)
		timeout time.Duration
		fault   delivery.Fault
		verdict delivery.VerdictKind
		reason  reasons.Reason
	}{
		{"hangs without an answer", func(_ int, c net.Conn) { untilClosed(c) }, 100 * time.Millisecond, delivery.FaultTimeout, delivery.Retry,
			reasons.Timeout},
		{"hangs within the header", func(_ int, c net.Conn) { request(c); fmt.Fprint(c, "HTTP/1.1 200 OK\r\nX-"); untilClosed(c) },
			100 * time.Millisecond,
			delivery.FaultTimeout, delivery.Retry, reasons.Timeout},
		{"hangs within the body of a 200", func(_ int, c net.Conn) {
			request(c)
			fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok")
			untilClosed(c)
		}, time.Second, delivery.FaultNone, delivery.Delivered, reasons.OK},
		{"closes before the request is read", func(_ int, c net.Conn) {}, 10 * time.Second, delivery.FaultCut, delivery.Retry,
			reasons.ConnectionCut},
		{"resets", func(_ int, c net.Conn) { request(c); _ = c.(*net.TCPConn).SetLinger(0) }, 10 * time.Second, delivery.FaultCut,
			delivery.Retry, reasons.ConnectionCut},
		{"cuts the header within a line", say("HTTP/1.1 200 OK\r\nContent-"), 10 * time.Second, delivery.FaultProtocol, delivery.Retry,
			reasons.Protocol},
		{"cuts the header", say("HTTP/1.1 200 OK\r\nX-A: a\r\n"), 10 * time.Second, delivery.FaultCut, delivery.Retry, reasons.ConnectionCut},
		{"cuts the body of a 200", say("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok"), 10 * time.Second, delivery.FaultNone,
			delivery.Delivered, reasons.OK},
		{"cuts the body of a 500", say("HTTP/1.1 500 Oops\r\nContent-Length: 9\r\n\r\nno"), 10 * time.Second, delivery.FaultNone,
			delivery.Retry, reasons.HTTPStatus},
		{"speaks something else", say("220 mail.example.com ESMTP\r\n"), 10 * time.Second, delivery.FaultProtocol, delivery.Retry,
			reasons.Protocol},
		{"speaks bytes", say("\x00\x01\x02\xff\r\n\r\n"), 10 * time.Second, delivery.FaultProtocol, delivery.Retry, reasons.Protocol},
		{"chunks badly", say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), 10 * time.Second, delivery.FaultNone,
			delivery.Delivered, reasons.OK},
		{"sends a huge header", say("HTTP/1.1 200 OK\r\nX-A: " + strings.Repeat("a", 128<<10) + "\r\n\r\n"), 10 * time.Second,
			delivery.FaultProtocol, delivery.Retry, reasons.Protocol},
		{"sends endless headers", func(_ int, c net.Conn) { request(c); fmt.Fprint(c, "HTTP/1.1 200 OK\r\n"); endless(c, "X-A: a\r\n") },
			5 * time.Second,
			delivery.FaultProtocol, delivery.Retry, reasons.Protocol},
		{"sends endless 1xx", func(_ int, c net.Conn) { request(c); endless(c, "HTTP/1.1 103 Early Hints\r\n\r\n") }, 5 * time.Second,
			delivery.FaultProtocol, delivery.Retry, reasons.Protocol},
		{"sends an endless body", func(_ int, c net.Conn) {
			request(c)
			fmt.Fprint(c, "HTTP/1.1 200 OK\r\n\r\n")
			endless(c, strings.Repeat("x", 1024))
		}, 5 * time.Second, delivery.FaultNone, delivery.Delivered, reasons.OK},
		{"switches protocols", say("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"), time.Second,
			delivery.FaultNone, delivery.Retry, reasons.HTTPStatus},
	} {
		t.Run(c.name, func(t *testing.T) {
			o, v := attempt(t, newSender(t), deliveryTo(rawReceiver(t, c.serve), timeout(c.timeout)))
			if o.Fault != c.fault || v.Kind != c.verdict || v.Reason != c.reason {
				t.Errorf("got %+v, %+v", o, v)
			}
			if o.Fault != delivery.FaultNone && o.Detail == "" {
				t.Error("the fault has no words")
			}
			if len(o.Excerpt) > delivery.MaxExcerpt {
				t.Errorf("the excerpt has %d bytes", len(o.Excerpt))
			}
		})
	}
}

// untilHalf closes our side once what was said is on its way, so that the other side reads it all.
func untilHalf(c net.Conn) {
	_ = c.(*net.TCPConn).CloseWrite()
	untilClosed(c)
}

// endless writes until the other side has closed.
func endless(c net.Conn, text string) {
	for {
		if _, err := io.WriteString(c, text); err != nil {
			return
		}
	}
}

func TestNobodyThere(t *testing.T) {
	o, v := attempt(t, newSender(t), deliveryTo("http://"+porttest.Address(t)+"/?token=canary"))
	if o.Fault != delivery.FaultConnect || v.Reason != reasons.Connect || !strings.Contains(v.Detail, "connection refused") {
		t.Errorf("got %+v, %+v", o, v)
	}
	o, v = attempt(t, newSender(t), deliveryTo("http://nobody.invalid/?token=canary"))
	if o.Fault != delivery.FaultDNS || v.Reason != reasons.DNS || !strings.Contains(v.Detail, "nobody.invalid") {
		t.Errorf("got %+v, %+v", o, v)
	}
}

func TestForbiddenAddressIsNotConnected(t *testing.T) {
	r := newReceiver(t, nil, func(http.ResponseWriter, *http.Request) {})
	o := httpsender.DefaultOptions()
	o.URLPolicy = "any"
	out, v := attempt(t, httpsender.NewSender(t, o), deliveryTo(r.URL))
	if out.Fault != delivery.FaultEgress || v.Reason != reasons.Egress || !strings.Contains(v.Detail, "--allow-egress 127.0.0.1/32") {
		t.Errorf("got %+v, %+v", out, v)
	}
	o.AllowEgress, o.URLPolicy = []string{"127.0.0.0/8"}, "https"
	out, v = attempt(t, httpsender.NewSender(t, o), deliveryTo(r.URL))
	if out.Fault != delivery.FaultEgress || v.Reason != reasons.Egress || !strings.Contains(v.Detail, "--url-policy") {
		t.Errorf("got %+v, %+v", out, v)
	}
	if n := r.connections.Load(); n != 0 {
		t.Errorf("%d connections were made", n)
	}
}

func TestAttemptCutShortByShutdownIsPutOff(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	url := rawReceiver(t, func(_ int, c net.Conn) {
		_, _ = http.ReadRequest(bufio.NewReader(c))
		cancel()
		untilClosed(c)
	})
	s, d := newSender(t), deliveryTo(url)
	if v := s.Judge(d, s.Send(ctx, d)); v.Kind != delivery.Postpone || v.Reason != reasons.Shutdown {
		t.Errorf("got %+v", v)
	}
}
