package httpsender_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/certtest"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/porttest"
)

// endlessly plays a receiver that says a text and then another without end.
func endlessly(begin, again string) func(*testing.T) *played {
	return scripted(func(_ int64, c net.Conn) bool {
		fmt.Fprint(c, begin)
		endless(c, again)
		return false
	})
}

// dripping plays a receiver that says a text and then another, drop by drop, without end.
func dripping(begin, drop string) func(*testing.T) *played {
	return scripted(func(_ int64, c net.Conn) bool {
		fmt.Fprint(c, begin)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			if _, err := fmt.Fprint(c, drop); err != nil {
				return false
			}
			<-tick.C
		}
	})
}

// silentContracts let us wait.
func silentContracts() []contract {
	noAnswer := retrying(reasons.Timeout, 0, "connected, but no response within 2s")
	return []contract{
		{name: "hangs", change: impatient, play: saysAndHangs(""), want: noAnswer, requests: 1},
		{name: "hangs within the status line", change: impatient, play: saysAndHangs("HTTP/1.1 2"), want: noAnswer, requests: 1},
		{name: "hangs within the header", change: impatient, play: saysAndHangs("HTTP/1.1 200 OK\r\nX-"), want: noAnswer, requests: 1},
		{name: "hangs after 100", change: impatient, play: saysAndHangs("HTTP/1.1 100 Continue\r\n\r\n"), want: noAnswer, requests: 1},
		{name: "hangs after 102", change: impatient, play: saysAndHangs("HTTP/1.1 102 Processing\r\n\r\n"), want: noAnswer, requests: 1},
		{name: "a header drop by drop", change: impatient, play: dripping("HTTP/1.1 200 OK\r\nX-A: ", "a"), want: noAnswer, requests: 1},
		{name: "headers drop by drop", change: impatient, play: dripping("HTTP/1.1 200 OK\r\n", "A: a\r\n"), want: noAnswer, requests: 1},
		{name: "nobody there", requests: 0, want: retrying(reasons.Connect, 0, "connect to {host}: connection refused"),
			play: func(t *testing.T) *played {
				return &played{url: "http://" + porttest.Address(t) + "/?token=canary", read: &atomic.Int64{}}
			}},
		{name: "a name that is none", requests: 0, want: retrying(reasons.DNS, 0, "look up {host}: no such host"),
			play: func(*testing.T) *played {
				return &played{url: "http://nobody.invalid/?token=canary", read: &atomic.Int64{}}
			}},
		{name: "a forbidden address", requests: 0, play: func(*testing.T) *played {
			return &played{url: "http://169.254.169.254/?token=canary", read: &atomic.Int64{}}
		}, want: retrying(reasons.Egress, 0,
			"connecting to {host}:80 is forbidden: it is a cloud metadata service; to allow it, start with --allow-egress {host}/32")},
	}
}

// garbledLine is what is recorded of an answer that can't be read. A line that is cut looks like one that is none.
func garbledLine() line {
	return retrying(reasons.Protocol, 0, "the response is not HTTP/1.1, its header is incomplete, or its header exceeds 64 KiB")
}

// garbledContracts are answers that are none.
func garbledContracts() []contract {
	garbled := garbledLine()
	return []contract{
		{name: "101", play: says("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"), requests: 1,
			want: retrying(reasons.HTTPStatus, 101, "HTTP 101 Switching Protocols")},
		{name: "endless 1xx", play: endlessly("", "HTTP/1.1 103 Early Hints\r\n\r\n"), want: garbled, requests: 1},
		{name: "another protocol", play: says("220 mail.example.com ESMTP\r\n"), want: garbled, requests: 1},
		{name: "bytes", play: says("\x00\x01\x02\xff\r\n\r\n"), want: garbled, requests: 1},
		{name: "a status that is none", play: says("HTTP/1.1 abc OK\r\n\r\n"), want: garbled, requests: 1},
		{name: "chunks that are none", play: says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), want: delivered(200),
			requests: 1},
		{name: "a huge header", play: says("HTTP/1.1 200 OK\r\nX-A: " + strings.Repeat("a", 128<<10) + "\r\n\r\n"), want: garbled, requests: 1},
		{name: "endless headers", play: endlessly("HTTP/1.1 200 OK\r\n", "X-A: a\r\n"), want: garbled, requests: 1},
		{name: "an endless header", play: endlessly("HTTP/1.1 200 OK\r\nX-A: ", "aaaaaaaa"), want: garbled, requests: 1},
	}
}

// cutContracts cut the connection at each point. Only a connection that was kept, cut before any byte of the answer, is tried again
// at once: the receiver may have closed it while it was idle.
func cutContracts() []contract {
	unanswered := retrying(reasons.ConnectionCut, 0, "the receiver closed the connection without a response")
	garbled := garbledLine()
	cutWithin := retrying(reasons.ConnectionCut, 0, "the receiver closed the connection while sending the response header")
	const okay = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
	// warmed answers the first request and keeps the connection; then says what is said to each further request, and cuts.
	warmed := func(text func(n int64) string) func(*testing.T) *played {
		return scripted(func(n int64, c net.Conn) bool {
			if n == 1 {
				fmt.Fprint(c, okay)
				return true
			}
			fmt.Fprint(c, text(n))
			return false
		})
	}
	always := func(text string) func(int64) string { return func(int64) string { return text } }
	return []contract{
		{name: "cut before the request is read", requests: 0, want: unanswered, play: func(t *testing.T) *played {
			return &played{url: rawReceiver(t, func(int, net.Conn) {}), read: &atomic.Int64{}}
		}},
		{name: "cut before an answer", play: says(""), want: unanswered, requests: 1},
		{name: "reset before an answer", requests: 1, want: unanswered, play: scripted(func(_ int64, c net.Conn) bool {
			_ = c.(*net.TCPConn).SetLinger(0)
			return false
		})},
		{name: "cut within the status line", play: says("HTTP/1.1 2"), requests: 1, want: garbled},
		{name: "cut after the status line", play: says("HTTP/1.1 200 OK\r\n"), requests: 1, want: cutWithin},
		{name: "cut within a header", play: says("HTTP/1.1 200 OK\r\nContent-"), requests: 1, want: garbled},
		{name: "cut after a header", play: says("HTTP/1.1 200 OK\r\nX-A: a\r\n"), requests: 1, want: cutWithin},
		{name: "cut after 100", play: says("HTTP/1.1 100 Continue\r\n\r\n"), requests: 1, want: cutWithin},
		{name: "cut within the body of a 200", play: says("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok"), requests: 1, want: delivered(200)},
		{name: "cut within the body of a 500", play: says("HTTP/1.1 500 Oops\r\nContent-Length: 9\r\n\r\nno"), requests: 1,
			want: retrying(reasons.HTTPStatus, 500, "HTTP 500 Internal Server Error; the connection broke while reading the response body")},
		{name: "kept, cut before an answer, well on a new one", warm: true, requests: 2, want: delivered(200), play: warmed(func(n int64) string {
			if n == 2 {
				return ""
			}
			return okay
		})},
		{name: "kept, cut before an answer, and again on a new one", warm: true, requests: 2, want: unanswered, play: warmed(always(""))},
		{name: "kept, cut within the status line", warm: true, requests: 1, want: garbled, play: warmed(always("HTTP/1.1 2"))},
		{name: "kept, cut after a header", warm: true, requests: 1, want: cutWithin, play: warmed(always("HTTP/1.1 200 OK\r\nX-A: a\r\n"))},
		{name: "kept, cut within the body", warm: true, requests: 1, want: delivered(200),
			play: warmed(always("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok"))},
	}
}

// tlsContracts are the faults of TLS. All play at once to one sender, so a root that one recipient has must not serve another.
func tlsContracts(t *testing.T) []contract {
	t.Helper()
	ours, theirs := newAuthority(t, "our root"), newAuthority(t, "their root")
	between := func(from, to int) func(*x509.Certificate) {
		return func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Date(from, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(to, 1, 1, 0, 0, 0, 0, time.UTC)
		}
	}
	issued := func(change func(*x509.Certificate)) *tls.Config {
		return &tls.Config{Certificates: []tls.Certificate{ours.issue(t, change)}}
	}
	with := func(pem string, config *tls.Config) func(*testing.T) *played {
		return servedTLS(config, pem, func(http.ResponseWriter, *http.Request) {})
	}
	limited := func(from, to uint16) *tls.Config {
		c := issued(nil)
		c.MinVersion, c.MaxVersion = from, to
		return c
	}
	self := &tls.Config{Certificates: []tls.Certificate{selfSigned(t)}}
	fault := func(detail string) line { return retrying(reasons.TLS, 0, "TLS: "+detail) }
	unknown := func(root string) line {
		return fault(fmt.Sprintf("the certificate is signed by an unknown authority (%q): set caCertificatePem of the recipient to its root "+
			"certificate; the receiver sent no intermediate certificate: if that authority is an intermediate one, configure the receiver to "+
			"send its certificate", root))
	}
	old := func(version string) line {
		return fault("the receiver speaks " + version + " at most, and no protocol version from TLS 1.2 on: enable TLS 1.2 or 1.3 there")
	}
	return []contract{
		{name: "TLS, its own CA", play: with(ours.pem, issued(nil)), want: delivered(200), requests: 1},
		{name: "TLS 1.2", play: with(ours.pem, limited(tls.VersionTLS12, tls.VersionTLS12)), want: delivered(200), requests: 1},
		{name: "TLS 1.3", play: with(ours.pem, limited(tls.VersionTLS13, tls.VersionTLS13)), want: delivered(200), requests: 1},
		{name: "TLS 1.1", play: with(ours.pem, limited(tls.VersionTLS11, tls.VersionTLS11)), want: old("TLS 1.1")},
		{name: "TLS 1.0", play: with(ours.pem, limited(tls.VersionTLS10, tls.VersionTLS10)), want: old("TLS 1.0")},
		{name: "expired", play: with(ours.pem, issued(between(2019, 2020))), want: fault("the certificate expired on 2020-01-01 00:00 UTC")},
		{name: "not yet valid", play: with(ours.pem, issued(between(2098, 2099))),
			want: fault("the certificate is not valid before 2098-01-01 00:00 UTC")},
		{name: "wrong host", want: fault("the certificate is not for 127.0.0.1 but for other.example.com"),
			play: with(ours.pem, issued(func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = nil, []string{"other.example.com"} }))},
		{name: "wrong CA", play: with(theirs.pem, issued(nil)), want: unknown("our root")},
		{name: "another recipient's CA", play: with("", issued(nil)), want: unknown("our root")},
		{name: "self-signed", play: with("", self), want: fault(`the certificate is self-signed, so it is signed by an unknown authority ` +
			`("receiver"): set caCertificatePem of the recipient to this certificate`)},
		{name: "a client's certificate", want: fault("the certificate is invalid: certificate specifies an incompatible key usage"),
			play: with(ours.pem, issued(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }))},
		{name: "closes in the handshake", want: fault("the receiver closed the connection during the handshake"),
			play: handshaking(func(net.Conn) {})},
		{name: "no TLS at all", want: fault("{host} does not speak TLS"), play: handshaking(func(c net.Conn) {
			fmt.Fprint(c, "HTTP/1.1 400 Bad Request\r\n\r\n")
			untilHalf(c)
		})},
		{name: "hangs in the handshake", change: impatient, want: retrying(reasons.Timeout, 0, "no connection within 2s"),
			play: func(t *testing.T) *played {
				p := handshaking(untilClosed)(t)
				// Both clocks run out at the same time.
				p.known = map[string]string{"TLS with " + p.host() + ": no response in time to the ClientHello: a device that drops large " +
					"ones does this, run diagnostics of the recipient": "no connection within 2s"}
				return p
			}},
	}
}

// selfSigned makes a certificate for 127.0.0.1 that nobody else has signed.
func selfSigned(t *testing.T) tls.Certificate {
	t.Helper()
	return certtest.SelfSigned(t, func(c *x509.Certificate) {
		c.Subject.CommonName, c.IsCA, c.KeyUsage = "receiver", true, x509.KeyUsageCertSign
		c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	}).TLS()
}

// handshaking plays a receiver of TLS that does something else.
func handshaking(serve func(net.Conn)) func(*testing.T) *played {
	return func(t *testing.T) *played {
		url := rawReceiver(t, func(_ int, c net.Conn) { serve(c) })
		return &played{url: strings.Replace(url, "http://", "https://", 1), read: &atomic.Int64{}}
	}
}
