package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/outbound-events/outbound/pkg/egress"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/render"
)

const (
	appliance = "bench"
	eventType = "support_conference_end"
	// bodySize is how long the form of an event is.
	bodySize = 1024
)

// loop is the baseline: the sender's transport, a transport and as many workers for each recipient as it has slots.
type loop struct {
	b       *bench
	clients []*http.Transport
	urls    []string
}

func newLoop(b *bench, s *site, recipients int) *loop {
	guard, err := egress.NewGuard([]string{"127.0.0.0/8"}, nil)
	if err != nil {
		b.Fatalf("open loopback to the baseline: %v", err)
	}
	if n := len(formOf(0)); n != bodySize {
		b.Fatalf("an event's form has %d bytes, want %d: mend noteSize", n, bodySize)
	}
	l := &loop{b: b}
	for i := range recipients {
		t := egress.NewTransport(egress.TransportOptions{Guard: guard, Timeout: recipient.DefaultTimeout, MaxConns: recipient.DefaultMaxInFlight})
		b.Cleanup(t.CloseIdleConnections)
		l.clients, l.urls = append(l.clients, t), append(l.urls, s.url(i))
	}
	return l
}

// post is one request as the sender makes it.
func (l *loop) post(i int, id string, body []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), recipient.DefaultTimeout)
	defer cancel()
	u, err := url.Parse(l.urls[i])
	if err != nil {
		return err
	}
	q := (&http.Request{
		Method: http.MethodPost, URL: u, Host: u.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{
			"Content-Type": {"application/x-www-form-urlencoded; charset=utf-8"}, "User-Agent": {"Outbound/bench"}, "Webhook-Id": {id},
			"Webhook-Timestamp": {"1795255200"}, "Traceparent": {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
		},
		Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
	}).WithContext(ctx)
	r, err := l.clients[i].RoundTrip(q)
	if err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, r.Body)
	_ = r.Body.Close()
	if r.StatusCode != http.StatusOK {
		return fmt.Errorf("answered %d", r.StatusCode)
	}
	return nil
}

// rate is posts per second at full speed, n posts in all.
func (l *loop) rate(n int) float64 {
	body := formOf(0)
	var left atomic.Int64
	left.Store(int64(n))
	var wg sync.WaitGroup
	began := time.Now()
	for i := range l.urls {
		for range recipient.DefaultMaxInFlight {
			wg.Go(func() {
				for k := left.Add(-1); k >= 0; k = left.Add(-1) {
					if err := l.post(i, "bare", body); err != nil {
						l.b.Errorf("baseline: %v", err)
						return
					}
				}
			})
		}
	}
	wg.Wait()
	return float64(n) / time.Since(began).Seconds()
}

// formOf is the body that the sender makes of the n-th event. An event with faults would make a shorter one; newLoop checks.
func formOf(n int) []byte {
	e, _ := event.Decode(wire(n))
	return render.Form(e, nil)
}
