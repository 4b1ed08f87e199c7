package httpsender_test

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/porttest"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// sserver is an openssl s_server. What comes over TLS is written to its output, and its input is sent.
type sserver struct {
	t    *testing.T
	url  string
	in   io.WriteCloser
	mu   sync.Mutex
	seen bytes.Buffer
}

// startServer starts openssl s_server with the pair name and more arguments.
func (w workshop) startServer(name, more string) *sserver {
	w.t.Helper()
	port := strconv.Itoa(porttest.Port(w.t))
	cmd := exec.Command("openssl", strings.Fields("s_server -accept 127.0.0.1:"+port+" -cert "+name+".pem -key "+name+".key "+more)...)
	cmd.Dir = w.dir
	s := &sserver{t: w.t, url: "https://127.0.0.1:" + port}
	cmd.Stdout, cmd.Stderr = s, s
	var err error
	if s.in, err = cmd.StdinPipe(); err != nil {
		w.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	s.wait("ACCEPT")
	return s
}

// Write keeps what the server writes.
func (s *sserver) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen.Write(b)
}

// wait waits until the server has written a text, and forgets all up to it.
func (s *sserver) wait(text string) {
	s.t.Helper()
	waittest.Until(s.t, text+" from openssl s_server", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		at := bytes.Index(s.seen.Bytes(), []byte(text))
		if at >= 0 {
			s.seen.Next(at + len(text))
		}
		return at >= 0
	})
}

func (s *sserver) send(text string) {
	s.t.Helper()
	if _, err := io.WriteString(s.in, text); err != nil {
		s.t.Error(err)
	}
}

const fine = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

// TestClientCertificateByRenegotiation has a server that reads the request and then asks for the certificate, as IIS does.
func TestClientCertificateByRenegotiation(t *testing.T) {
	w := newWorkshop(t)
	w.issue("server", "", "", here, "basicConstraints=CA:FALSE")
	w.issue("client", "", "", "basicConstraints=CA:FALSE", "extendedKeyUsage=clientAuth")
	server := w.startServer("server", "-tls1_2")
	s := newSender(t)
	// Nobody but this goroutine may fail the test.
	results := make(chan delivery.Verdict, 1)
	post := func() {
		d := deliveryTo(server.url, timeout(20*time.Second), func(r *recipient.Recipient) {
			r.HTTP.CAPEM = w.read("server.pem")
			r.HTTP.Auth = recipient.Auth{ClientCertificatePEM: w.read("client.pem"), ClientKeyPEM: w.read("client.key")}
		})
		go func() { results <- s.Judge(d, s.Send(t.Context(), d)) }()
	}
	post()
	server.wait("display_name=")
	server.send("R\n")
	server.wait("CN = client")
	server.send(fine)
	if v := waittest.Receive(t, "the first verdict", results); v.Kind != delivery.Delivered {
		t.Fatalf("got %+v", v)
	}
	// The same connection serves the next one without another renegotiation.
	post()
	server.wait("display_name=")
	server.send(fine)
	if v := waittest.Receive(t, "the second verdict", results); v.Kind != delivery.Delivered {
		t.Fatalf("got %+v", v)
	}
	// A second renegotiation on one connection is refused.
	post()
	server.wait("display_name=")
	server.send("R\n")
	if v := waittest.Receive(t, "the third verdict", results); v.Kind != delivery.Retry {
		t.Errorf("got %+v", v)
	}
}

// TestOldServers has servers that want what is off, and shows that the named option helps.
func TestOldServers(t *testing.T) {
	w := newWorkshop(t)
	w.issue("server", "", "", here, "basicConstraints=CA:FALSE")
	for name, c := range map[string]struct {
		args, words string
		helps       bool
	}{
		"RSA key exchange":      {"-tls1_2 -cipher AES128-GCM-SHA256", "TLS_RSA_WITH_AES_128_GCM_SHA256 (RSA key exchange", true},
		"RSA, CBC":              {"-tls1_2 -cipher AES256-SHA", "TLS_RSA_WITH_AES_256_CBC_SHA (RSA key exchange: no forward secrecy, CBC)", true},
		"CBC with SHA-256":      {"-tls1_2 -cipher ECDHE-RSA-AES128-SHA256", "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256 (CBC)", true},
		"DHE, which Go has not": {"-tls1_2 -cipher DHE-RSA-AES128-GCM-SHA256", "none of the offered cipher suites", false},
		"TLS 1.1":               {"-tls1_1 -cipher ALL:@SECLEVEL=0", "TLS 1.1 at most", false},
	} {
		t.Run(name, func(t *testing.T) {
			server := w.startServer("server", c.args)
			s := newSender(t)
			to := func(legacy bool, revision uint64) *delivery.Delivery {
				return deliveryTo(server.url, func(r *recipient.Recipient) {
					r.HTTP.CAPEM, r.HTTP.LegacyTLS, r.Revision = w.read("server.pem"), legacy, revision
				})
			}
			o, v := attempt(t, s, to(false, 1))
			if o.Fault != delivery.FaultTLS || !strings.Contains(v.Detail, c.words) || c.helps && !strings.Contains(v.Detail, "http.legacyTls") {
				t.Errorf("got %+v, %+v, want words like %q", o, v, c.words)
			}
			if !c.helps {
				return
			}
			results := make(chan delivery.Verdict, 1)
			d := to(true, 2)
			go func() { results <- s.Judge(d, s.Send(t.Context(), d)) }()
			server.wait("display_name=")
			server.send(fine)
			if v := waittest.Receive(t, "a verdict", results); v.Kind != delivery.Delivered {
				t.Errorf("with the option: %+v", v)
			}
		})
	}
}

// TestLargeClientHello has a device on the way that takes no ClientHello of more than one packet.
func TestLargeClientHello(t *testing.T) {
	ours := newAuthority(t, "our root")
	r := newReceiver(t, &tls.Config{Certificates: []tls.Certificate{ours.issue(t, nil)}}, func(http.ResponseWriter, *http.Request) {})
	device := rawReceiver(t, func(_ int, c net.Conn) { passSmallHello(c, r.Listener.Addr().String()) })
	front := strings.Replace(device, "http://", "https://", 1)
	s := newSender(t)
	to := func(small bool, revision uint64) *delivery.Delivery {
		return deliveryTo(front, func(r *recipient.Recipient) {
			r.HTTP.CAPEM, r.HTTP.SmallClientHello, r.Revision = ours.pem, small, revision
		})
	}
	o, v := attempt(t, s, to(false, 1))
	if o.Fault != delivery.FaultTLS || !strings.Contains(v.Detail, "post-quantum") || !strings.Contains(v.Detail, "http.smallClientHello") {
		t.Errorf("got %+v, %+v", o, v)
	}
	if _, v = attempt(t, s, to(true, 2)); v.Kind != delivery.Delivered || r.requests.Load() != 1 {
		t.Errorf("with the option: %+v", v)
	}
}

// passSmallHello passes a connection on if its first record is of at most 1,400 bytes, and closes it otherwise.
func passSmallHello(c net.Conn, to string) {
	head := make([]byte, 5)
	if _, err := io.ReadFull(c, head); err != nil || int(head[3])<<8+int(head[4]) > 1400 {
		return
	}
	up, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer func() { _ = up.Close() }()
	if _, err := up.Write(head); err != nil {
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(c, up)
		_ = c.Close()
	}()
	_, _ = io.Copy(up, c)
	_ = up.Close()
	<-done
}
