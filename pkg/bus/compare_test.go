package bus_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/bustest"
	"github.com/outbound-events/outbound/pkg/delivery"
)

// append2 stores a record after the one at a sequence, and waits.
func append2(t *testing.T, h *deliverylog.Log, rec delivery.Record, after uint64) error {
	t.Helper()
	ch := make(chan error, 1)
	h.AppendAfter(rec, after, func(err error) { ch <- err })
	return <-ch
}

func TestARecordIsStoredOnlyAfterTheOneThatIsExpected(t *testing.T) {
	h := deliverylog.New(bustest.Start(t).Conn())
	defer h.Close()
	e := newEvent(t, "e-1")
	for _, x := range []struct {
		what    string
		attempt int
		state   delivery.State
		after   uint64
		stands  bool
	}{
		{"after one that is not there", 1, delivery.StateRetrying, 7, false},
		{"the first", 1, delivery.StateRetrying, 0, true},
		{"the first again", 1, delivery.StateRetrying, 0, false},
		{"a second first", 1, delivery.StateDelivered, 0, false},
		{"the next", 2, delivery.StateRetrying, 1, true},
		{"an end after the one before the newest", 2, delivery.StateCancelled, 1, false},
		{"an end", 2, delivery.StateCancelled, 2, true},
	} {
		rec := record(e, "r1", x.attempt, x.state)
		if x.state == delivery.StateCancelled {
			rec.LastAttempt = nil // it ends without an attempt
		}
		err := append2(t, h, rec, x.after)
		if x.stands && err != nil || !x.stands && !errors.Is(err, delivery.ErrConflict) {
			t.Errorf("%s: %v", x.what, err)
		}
	}
	if err := append2(t, h, record(newEvent(t, "e-2"), "r1", 1, delivery.StateDelivered), 0); err != nil {
		t.Errorf("another delivery: %v", err)
	}
	all, err := h.AttemptsOf(t.Context(), record(e, "r1", 0, ""))
	if err != nil || len(all) != 3 || all[2].State != delivery.StateCancelled {
		t.Errorf("%d records, %v", len(all), err)
	}
}

// TestAConflictFailsNoOtherRecordOfItsBatch has records stored together, of which some expect what is not so.
func TestAConflictFailsNoOtherRecordOfItsBatch(t *testing.T) {
	for _, relaxed := range []bool{false, true} {
		t.Run(fmt.Sprint("relaxed ", relaxed), func(t *testing.T) {
			b := bustest.Start(t)
			b.Conn()
			c, err := bus.Connect(t.Context(), bus.Options{URL: b.URL(), Relaxed: relaxed})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			h := deliverylog.New(c)
			defer h.Close()
			const n = 300
			var wg sync.WaitGroup
			errs := make([]error, n)
			for i := range n {
				wg.Add(1)
				after := uint64(0)
				if i%100 == 50 {
					after = 9_999
				}
				h.AppendAfter(record(newEvent(t, fmt.Sprint("e-", i)), "r1", 1, delivery.StateRetrying), after, func(err error) {
					errs[i] = err
					wg.Done()
				})
			}
			wg.Wait()
			for i, err := range errs {
				if wrong := i%100 == 50; wrong != errors.Is(err, delivery.ErrConflict) || !wrong && err != nil {
					t.Errorf("record %d: %v", i, err)
				}
			}
			if last, err := h.LastSequence(t.Context()); err != nil || last != n-3 {
				t.Errorf("%d are stored, want %d (%v)", last, n-3, err)
			}
		})
	}
}

// link forwards connections to a broker. While it is deaf, nothing of what the broker says comes through.
type link struct {
	l    net.Listener
	to   string
	wg   sync.WaitGroup
	mu   sync.Mutex
	deaf bool
	open []net.Conn
}

func newLink(t *testing.T, url string) *link {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	k := &link{l: l, to: strings.TrimPrefix(url, "nats://")}
	k.wg.Go(k.accept)
	t.Cleanup(func() { l.Close(); k.cut(); k.wg.Wait() })
	return k
}

func (k *link) accept() {
	for {
		in, err := k.l.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp4", k.to)
		if err != nil {
			in.Close()
			continue
		}
		k.mu.Lock()
		k.open = append(k.open, in, out)
		k.mu.Unlock()
		k.wg.Go(func() { _, _ = io.Copy(out, in); out.Close() })
		k.wg.Go(func() {
			defer in.Close()
			buf := make([]byte, 32<<10)
			for {
				n, err := out.Read(buf)
				k.mu.Lock()
				deaf := k.deaf
				k.mu.Unlock()
				if err != nil {
					return
				}
				if !deaf {
					_, _ = in.Write(buf[:n])
				}
			}
		})
	}
}

func (k *link) setDeaf(deaf bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.deaf = deaf
}

// cut closes what is open.
func (k *link) cut() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, c := range k.open {
		c.Close()
	}
	k.open = nil
}

// forgetful has HISTORY know message ids for a moment only, and returns a function that waits until it has forgotten those of before.
func forgetful(t *testing.T, c *bus.Conn) (forgotten func()) {
	t.Helper()
	js, err := jetstream.New(c.IntakeConn())
	if err != nil {
		t.Fatal(err)
	}
	s, err := js.Stream(t.Context(), bus.StreamHistory)
	if err != nil {
		t.Fatal(err)
	}
	cfg := s.CachedInfo().Config
	cfg.Duplicates = 100 * time.Millisecond
	if _, err := js.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	publish := func() bool {
		m := nats.NewMsg("outbound.history.intake.x.rejected.x")
		m.Header.Set(nats.MsgIdHdr, "marker")
		ack, err := js.PublishMsg(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		return ack.Duplicate
	}
	return func() {
		publish()
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for publish() {
			<-tick.C
		}
	}
}

// recordsOf is how many deliveries to r1 have a record.
func recordsOf(t *testing.T, h *deliverylog.Log) int {
	t.Helper()
	list, err := h.Attempts(t.Context(), deliverylog.AttemptFilter{Recipient: "r1"}, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// TestARecordThatIsRepeatedLateIsStoredOnce loses the answers to records until the broker has forgotten their message ids.
func TestARecordThatIsRepeatedLateIsStoredOnce(t *testing.T) {
	for _, n := range []int{1, 60} { // singly, and as batches
		t.Run(fmt.Sprint(n, " at once"), func(t *testing.T) {
			b := bustest.Start(t)
			c := b.Conn()
			forgotten := forgetful(t, c)
			near := deliverylog.New(c)
			defer near.Close()
			k := newLink(t, b.URL())
			far, err := bus.Connect(t.Context(), bus.Options{URL: "nats://" + k.l.Addr().String()})
			if err != nil {
				t.Fatal(err)
			}
			defer far.Close()
			h := deliverylog.New(far)
			defer h.Close()
			k.setDeaf(true)
			ch := make(chan error, n)
			for i := range n {
				h.AppendAttempt(record(newEvent(t, fmt.Sprint("e-", i)), "r1", 1, delivery.StateDelivered), func(err error) { ch <- err })
			}
			tick := time.NewTicker(time.Millisecond)
			defer tick.Stop()
			for recordsOf(t, near) == 0 { // those behind may wait for its answer
				<-tick.C
			}
			forgotten()
			k.cut()
			k.setDeaf(false)
			conflicts := 0
			for range n {
				switch err := <-ch; {
				case errors.Is(err, delivery.ErrConflict):
					conflicts++
				case err != nil:
					t.Errorf("a record is answered %v", err)
				}
			}
			if conflicts == 0 {
				t.Error("no repeat was found to be stored already")
			}
			all := 0
			for i := range n {
				list, err := near.AttemptsOf(t.Context(), record(newEvent(t, fmt.Sprint("e-", i)), "r1", 0, ""))
				if err != nil {
					t.Fatal(err)
				}
				all += len(list)
			}
			if all != n {
				t.Errorf("%d records, want %d", all, n)
			}
		})
	}
}
