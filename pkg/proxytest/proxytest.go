// Package proxytest is an outbound HTTP proxy for tests: a real one, with CONNECT for tunnels and absolute targets for plain HTTP.
package proxytest

import (
	"crypto/tls"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
)

// Options are how a proxy behaves.
type Options struct {
	// User and Password it asks for; none if empty.
	User, Password string
	// TLS has it speak TLS to its clients.
	TLS *tls.Config
	// Resolve says where a target (host:port) is; nil: at itself.
	Resolve func(target string) string
	// Refuse is the status of every answer, if set.
	Refuse int
}

// Proxy is a proxy that ends with its test.
type Proxy struct {
	// URL is http://host:port or https://host:port; Address is host:port alone.
	URL, Address string

	o       Options
	tunnels sync.WaitGroup
	mu      sync.Mutex
	targets []string
	// Connections counts those of clients.
	Connections atomic.Int64
}

// Start starts a proxy on loopback.
func Start(t testing.TB, o Options) *Proxy {
	t.Helper()
	if o.Resolve == nil {
		o.Resolve = func(target string) string { return target }
	}
	p := &Proxy{o: o}
	p.tunnels.Add(1) // the server's own, so that tunnels may begin until it is closed
	s := httptest.NewUnstartedServer(p)
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			p.Connections.Add(1)
		}
	}
	if o.TLS != nil {
		s.TLS = o.TLS
		s.StartTLS()
	} else {
		s.Start()
	}
	p.URL, p.Address = s.URL, s.Listener.Addr().String()
	t.Cleanup(func() {
		s.Close()
		p.tunnels.Done()
		p.tunnels.Wait()
	})
	return p
}

// Targets are the targets (host:port) it was asked for, those it refused included.
func (p *Proxy) Targets() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string{}, p.targets...)
}

// ServeHTTP implements http.Handler.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.targets = append(p.targets, r.Host)
	p.mu.Unlock()
	want := "Basic " + base64.StdEncoding.EncodeToString([]byte(p.o.User+":"+p.o.Password))
	switch {
	case p.o.Refuse != 0:
		http.Error(w, "refused", p.o.Refuse)
	case p.o.User != "" && r.Header.Get("Proxy-Authorization") != want:
		w.Header().Set("Proxy-Authenticate", "Basic")
		http.Error(w, "who are you?", http.StatusProxyAuthRequired)
	case r.Method == http.MethodConnect:
		p.tunnel(w, r)
	case r.URL.IsAbs():
		p.forward(w, r)
	default:
		http.Error(w, "I am a proxy", http.StatusBadRequest)
	}
}

func (p *Proxy) tunnel(w http.ResponseWriter, r *http.Request) {
	var d net.Dialer
	target, err := d.DialContext(r.Context(), "tcp", p.o.Resolve(r.Host))
	if err != nil {
		http.Error(w, "away", http.StatusBadGateway)
		return
	}
	client, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		_ = target.Close()
		return
	}
	_, _ = io.WriteString(client, "HTTP/1.1 200 Connection established\r\n\r\n")
	for _, way := range [][2]net.Conn{{target, client}, {client, target}} {
		p.tunnels.Go(func() {
			_, _ = io.Copy(way[0], way[1])
			_, _ = target.Close(), client.Close()
		})
	}
}

func (p *Proxy) forward(w http.ResponseWriter, r *http.Request) {
	out := r.Clone(r.Context())
	out.RequestURI, out.URL.Host = "", p.o.Resolve(r.Host)
	out.Header.Del("Proxy-Authorization")
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(out)
	if err != nil {
		http.Error(w, "away", http.StatusBadGateway)
		return
	}
	defer func() { _ = resp.Body.Close() }()
	for name, values := range resp.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(resp.StatusCode)
	_, _ = io.Copy(w, resp.Body)
}
