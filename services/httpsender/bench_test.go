package httpsender_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/egress"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/render"
)

// BenchmarkSend makes attempts against a receiver in the same process, one after the other: what one costs in all.
func BenchmarkSend(b *testing.B) {
	for name, change := range map[string]func(*recipient.Recipient){
		"form":        func(*recipient.Recipient) {},
		"json":        func(r *recipient.Recipient) { r.HTTP.Format = recipient.JSON },
		"form signed": everything,
	} {
		b.Run(name, func(b *testing.B) {
			r := newReceiver(b, nil, func(_ http.ResponseWriter, q *http.Request) { _, _ = io.Copy(io.Discard, q.Body) })
			s, d := newSender(b, "region"), deliveryTo(r.URL, change)
			b.ReportAllocs()
			for b.Loop() {
				if o := s.Send(b.Context(), d); s.Judge(d, o).Kind != delivery.Delivered {
					b.Fatalf("%+v", o)
				}
			}
		})
	}
}

// BenchmarkBare posts the same body over the same transport with nothing around it: what net/http costs.
func BenchmarkBare(b *testing.B) {
	r := newReceiver(b, nil, func(_ http.ResponseWriter, q *http.Request) { _, _ = io.Copy(io.Discard, q.Body) })
	tr := transport(b, nil)
	body := render.Form(joined(), nil)
	b.ReportAllocs()
	for b.Loop() {
		postBare(b, tr, r.URL, body)
	}
}

// BenchmarkProtocols compares HTTP/1.1 over kept connections with HTTP/2 over one, 16 requests at once over TLS.
func BenchmarkProtocols(b *testing.B) {
	ca := newAuthority(b, "root")
	body := bytes.Repeat([]byte("x"), 1024)
	for name, http2 := range map[string]bool{"HTTP1.1": false, "HTTP2": true} {
		b.Run(name, func(b *testing.B) {
			r := newReceiver(b, &tls.Config{Certificates: []tls.Certificate{ca.issue(b, nil)}, NextProtos: []string{"h2", "http/1.1"}},
				func(_ http.ResponseWriter, q *http.Request) { _, _ = io.Copy(io.Discard, q.Body) })
			roots, err := egress.ParseRoots(ca.pem)
			if err != nil {
				b.Fatal(err)
			}
			tr := transport(b, roots)
			if http2 {
				protocols := new(http.Protocols)
				protocols.SetHTTP2(true)
				tr = &http.Transport{Protocols: protocols, TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
				b.Cleanup(tr.CloseIdleConnections)
			}
			b.SetParallelism(8)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					postBare(b, tr, r.URL, body)
				}
			})
		})
	}
}

func transport(b *testing.B, roots *x509.CertPool) *http.Transport {
	b.Helper()
	guard, err := egress.NewGuard([]string{"127.0.0.0/8"}, nil)
	if err != nil {
		b.Fatal(err)
	}
	tr := egress.NewTransport(egress.TransportOptions{Guard: guard, Roots: roots, Timeout: 5 * time.Second, MaxConns: 16})
	b.Cleanup(tr.CloseIdleConnections)
	return tr
}

func postBare(b *testing.B, tr *http.Transport, url string, body []byte) {
	r, err := http.NewRequestWithContext(b.Context(), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		b.Error(err)
		return
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := tr.RoundTrip(r)
	if err != nil {
		b.Error(err)
		return
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
}
