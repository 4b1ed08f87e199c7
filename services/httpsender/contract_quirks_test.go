package httpsender_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
)

// malformedContracts answer with a status line and a header that is not as it should be. The status line counts.
func malformedContracts() []contract {
	const noted = "the response header is malformed: "
	okay := func(fault string) line {
		l := delivered(200)
		l.Detail = noted + fault
		return l
	}
	row := func(name, header, fault string) contract {
		return contract{name: "malformed: " + name, play: says("HTTP/1.1 200 OK\r\n" + header + "\r\n\r\nok"), want: okay(fault), requests: 1}
	}
	long := retrying(reasons.HTTPStatus, 429, "HTTP 429 Too Many Requests; "+noted+"a line without a colon; Retry-After is 20m0s")
	long.Next = asAsked
	return []contract{
		row("a line without a colon", "Server: x\r\nno colon", "a line without a colon"),
		row("such a line first", "no colon\r\nServer: x", "a line without a colon"),
		row("PHP's warning", "<br />Warning: x\r\nContent-Type: text/html", "a header name that is not valid"),
		row("an empty length", "Content-Length:", "Content-Length is not a number"),
		row("a negative length", "Content-Length: -1", "Content-Length is not a number"),
		row("a length in words", "Content-Length: two", "Content-Length is not a number"),
		row("two lengths", "Content-Length: 1\r\nContent-Length: 2", "two values of Content-Length"),
		row("no name", ": x", "a header name that is not valid"),
		row("a space first", " x: y", "a line begins with a space"),
		row("an unknown coding", "Transfer-Encoding: gzip, chunked", "a Transfer-Encoding other than chunked"),
		row("two codings", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "a Transfer-Encoding other than chunked"),
		{name: "one length twice", play: says("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok"), want: delivered(200),
			requests: 1},
		{name: "bare line feeds", play: says("HTTP/1.1 200 OK\nServer: x\n\nok"), want: delivered(200), requests: 1},
		{name: "no reason phrase", play: says("HTTP/1.1 200\r\n\r\n"), want: delivered(200), requests: 1},
		{name: "malformed: bare line feeds", play: says("HTTP/1.0 200 OK\nno colon\n\nok"), want: okay("a line without a colon"), requests: 1},
		{name: "malformed: after a hint", play: says("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nno colon\r\n\r\n"),
			want: okay("a line without a colon"), requests: 1},
		{name: "malformed: 204, any 2xx will do", play: says("HTTP/1.1 204 No Content\r\nno colon\r\n\r\n"), change: any2xx, requests: 1,
			want: line{State: delivery.StateDelivered, Reason: reasons.OK, Status: 204, Next: never, Detail: noted + "a line without a colon"}},
		{name: "malformed: 500", play: says("HTTP/1.1 500 Oops\r\nno colon\r\n\r\n"), requests: 1,
			want: retrying(reasons.HTTPStatus, 500, "HTTP 500 Internal Server Error; "+noted+"a line without a colon")},
		{name: "malformed: 429 with seconds", play: says("HTTP/1.1 429 Slow Down\r\nno colon\r\nRetry-After: 1200\r\n\r\n" +
			strings.Repeat(" ", 8<<10)), requests: 1, want: long},
		{name: "malformed: 302", play: says("HTTP/1.1 302 Found\r\nLocation: https://other.example/x\r\nno colon\r\n\r\n"), requests: 1,
			want: retrying(reasons.Redirect, 302, "HTTP 302 Found: redirects are not followed; Location: https://other.example; "+noted+
				"a line without a colon")},
		{name: "malformed over a connection that was kept", warm: true, requests: 1, want: okay("a line without a colon"),
			play: scripted(func(n int64, c net.Conn) bool {
				if n == 1 {
					fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
					return true
				}
				fmt.Fprint(c, "HTTP/1.1 200 OK\r\nno colon\r\n\r\n")
				return false
			})},
	}
}

// sameHostContracts redirect to another part of the same URL.
func sameHostContracts() []contract {
	row := func(name, location, words string) contract {
		return contract{name: "redirect: " + name, play: answers(307, "Location", location), requests: 1,
			want: retrying(reasons.Redirect, 307, "HTTP 307 Temporary Redirect: redirects are not followed; Location: http://{host}, "+words)}
	}
	return []contract{
		row("another path", "/login?next=canary", "the same host with another path"),
		row("a slash more", "/hook/?token=canary", "the same host with a slash at the end of the path"),
		row("no query", "/hook", "the same host and path with another query"),
		row("the same URL", "/hook?token=canary", "the same URL"),
	}
}

// certificateContracts close the connection because no client certificate came.
func certificateContracts(t *testing.T) []contract {
	t.Helper()
	ours := newAuthority(t, "our root")
	closing := func(version uint16, after func(*tls.Conn)) func(*testing.T) *played {
		return func(t *testing.T) *played {
			config := &tls.Config{Certificates: []tls.Certificate{ours.issue(t, nil)}, ClientAuth: tls.RequestClientCert,
				MinVersion: version, MaxVersion: version}
			url := rawReceiver(t, func(_ int, c net.Conn) {
				after(tls.Server(c, config))
			})
			return &played{url: strings.Replace(url, "http://", "https://", 1), read: &atomic.Int64{}, pem: ours.pem}
		}
	}
	// Some close without an alert: in TLS 1.2 within the handshake, in 1.3 after it.
	inHandshake := func(c *tls.Conn) {
		config := &tls.Config{Certificates: []tls.Certificate{ours.issue(t, nil)}, ClientAuth: tls.RequireAnyClientCert,
			MaxVersion: tls.VersionTLS12}
		_ = tls.Server(alertless{c.NetConn()}, config).Handshake()
	}
	afterIt := func(c *tls.Conn) {
		if c.Handshake() == nil {
			_ = c.NetConn().(*net.TCPConn).CloseWrite()
			untilClosed(c.NetConn())
		}
	}
	const set = "; it asked for a client certificate before: set http.auth.clientCertificate"
	return []contract{
		{name: "closes in the handshake for want of a client certificate", play: closing(tls.VersionTLS12, inHandshake),
			want: retrying(reasons.TLS, 0, "TLS: the receiver closed the connection during the handshake"+set)},
		{name: "closes after the handshake for want of a client certificate", play: closing(tls.VersionTLS13, afterIt),
			want: retrying(reasons.ConnectionCut, 0, "the receiver closed the connection without a response"+set)},
	}
}

// alertless is the connection of a server of TLS that sends no alerts.
type alertless struct{ net.Conn }

func (c alertless) Write(p []byte) (int, error) {
	const alert = 21
	if len(p) > 0 && p[0] == alert {
		return len(p), nil
	}
	return c.Conn.Write(p)
}

// TestEarlyAnswersCount has a receiver answer before it has read the body, and close: all of a hundred answers count.
func TestEarlyAnswersCount(t *testing.T) {
	ours := newAuthority(t, "our root")
	config := &tls.Config{Certificates: []tls.Certificate{ours.issue(t, nil)}}
	for _, secure := range []bool{false, true} {
		for _, kept := range []bool{false, true} {
			for _, status := range []int{200, 401, 413, 503} {
				t.Run(fmt.Sprintf("tls %v, kept %v, %d", secure, kept, status), func(t *testing.T) {
					var read atomic.Int64
					url := rawReceiver(t, func(_ int, c net.Conn) {
						if secure {
							c = tls.Server(c, config)
						}
						in := bufio.NewReader(c)
						if kept {
							if _, err := readWhole(in); err != nil {
								return
							}
							fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
						}
						if _, err := http.ReadRequest(in); err == nil {
							read.Add(1)
							fmt.Fprintf(c, "HTTP/1.1 %d Early\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", status)
						}
					})
					if secure {
						url = strings.Replace(url, "http://", "https://", 1)
					}
					s := newSender(t)
					d := bulky(deliveryTo(url), ours.pem)
					for i := range 25 {
						if kept {
							if o := s.Send(t.Context(), d); o.Status != 200 {
								t.Fatalf("the first request of connection %d: %+v", i, o)
							}
						}
						if o := s.Send(t.Context(), d); o.Status != status || o.Fault != delivery.FaultNone || string(o.Excerpt) != "ok" {
							t.Errorf("answer %d is lost: status %d, %s", i, o.Status, o.Detail)
						}
					}
					if n := read.Load(); n != 25 {
						t.Errorf("%d requests for 25 events", n)
					}
				})
			}
		}
	}
}

// readWhole reads a request with its body.
func readWhole(in *bufio.Reader) (*http.Request, error) {
	q, err := http.ReadRequest(in)
	if err != nil {
		return nil, err
	}
	_, err = new(bytes.Buffer).ReadFrom(q.Body)
	return q, err
}

// bulky makes an event one of 200 KiB.
func bulky(d *delivery.Delivery, pem string) *delivery.Delivery {
	d.Recipient.HTTP.CAPEM = pem
	e := *d.Event
	e.Variables = append(e.Variables[:1:1], e.Variables[0])
	e.Variables[1].Name, e.Variables[1].Value = "text", strings.Repeat("x", 200<<10)
	d.Event = &e
	return d
}
