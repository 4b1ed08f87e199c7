package httpsender_test

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/delivery/lease"
	"github.com/outbound-events/outbound/pkg/delivery/reasons"
	"github.com/outbound-events/outbound/pkg/event"
)

// over is a lease that has ended, as after the process was stopped for a while.
func over() lease.Lease {
	return lease.Lease{Since: time.Now().Add(-time.Minute), AckWait: 45 * time.Second}
}

// TestNothingIsSentOnceTheLeaseIsOver counts the bytes that arrive on connections that were opened for the attempts.
func TestNothingIsSentOnceTheLeaseIsOver(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	came := make(chan int64, 2)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			n, _ := io.Copy(io.Discard, c) // ends when the sender closes it
			_ = c.Close()
			came <- n
		}
	}()
	t.Cleanup(func() { _ = l.Close() })
	s := newSender(t)
	for name, size := range map[string]int{"a short body": 10, "a long one": 200_000} {
		d := deliveryTo("http://" + l.Addr().String())
		d.Event.Variables = append(d.Event.Variables, event.Variable{Name: "x", Value: strings.Repeat("x", size)})
		d.Lease = over()
		o, v := attempt(t, s, d)
		if o.Fault != delivery.FaultOverdue || v.Kind != delivery.Postpone || v.Reason != reasons.Overdue {
			t.Errorf("%s: got %+v, %+v", name, o, v)
		}
		if n := <-came; n != 0 {
			t.Errorf("%s: %d bytes were sent", name, n)
		}
	}
}

// TestAKeptConnectionIsNotUsedOnceTheLeaseIsOver has an attempt end before it is sent, between two that are made.
func TestAKeptConnectionIsNotUsedOnceTheLeaseIsOver(t *testing.T) {
	r := newReceiver(t, nil, func(http.ResponseWriter, *http.Request) {})
	s := newSender(t)
	for i, l := range []lease.Lease{{}, over(), {Since: time.Now(), AckWait: time.Hour}} {
		d := deliveryTo(r.URL)
		d.Lease = l
		_, v := attempt(t, s, d)
		want := delivery.Delivered
		if l.Over() {
			want = delivery.Postpone
		}
		if v.Kind != want {
			t.Errorf("attempt %d: got %+v", i, v)
		}
	}
	if n := r.requests.Load(); n != 2 {
		t.Errorf("%d requests arrived: want 2", n)
	}
}
