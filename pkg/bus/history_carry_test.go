package bus_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/bustest"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// logBounds sets the bounds of HISTORY.
func logBounds(t *testing.T, c *bus.Conn, change func(*jetstream.StreamConfig, jetstream.StreamState)) {
	t.Helper()
	js, err := jetstream.New(c.IntakeConn())
	if err != nil {
		t.Fatal(err)
	}
	s, err := js.Stream(t.Context(), bus.StreamHistory)
	if err != nil {
		t.Fatal(err)
	}
	config := s.CachedInfo().Config
	change(&config, s.CachedInfo().State)
	if _, err := js.UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
}

// The old part of the log is what it may drop before a fifth more has come, whichever bound it comes to first.
func TestTheOldPartOfTheLogGrowsWithEachBound(t *testing.T) {
	for name, c := range map[string]struct {
		bound func(*jetstream.StreamConfig, jetstream.StreamState)
		old   func(b deliverylog.LogBounds) bool
	}{
		"no bound near": {func(c *jetstream.StreamConfig, _ jetstream.StreamState) { c.MaxMsgs = 1_000 },
			func(b deliverylog.LogBounds) bool { return b.Old <= b.First }},
		"records": {func(c *jetstream.StreamConfig, _ jetstream.StreamState) { c.MaxMsgs = 100 },
			func(b deliverylog.LogBounds) bool { return b.First == 1 && b.Old == 21 }},
		"bytes": {func(c *jetstream.StreamConfig, s jetstream.StreamState) { c.MaxMsgs, c.MaxBytes = -1, int64(s.Bytes) },
			func(b deliverylog.LogBounds) bool { return b.First == 1 && b.Old >= 20 && b.Old <= 22 }},
		"age": {func(c *jetstream.StreamConfig, _ jetstream.StreamState) {
			c.MaxMsgs, c.MaxAge, c.Duplicates = -1, 3*time.Second, time.Second
		}, func(b deliverylog.LogBounds) bool { return b.Old > b.First && b.First <= b.Last }},
	} {
		t.Run(name, func(t *testing.T) {
			conn := bustest.Start(t).Conn()
			h := deliverylog.New(conn)
			defer h.Close()
			recordFrom(t, h, 0, 100)
			logBounds(t, conn, c.bound)
			waittest.NoError(t, "the log to be old", func() error {
				b, err := h.Bounds(t.Context())
				if err == nil && !c.old(b) {
					err = fmt.Errorf("it is %+v", b)
				}
				return err
			})
		})
	}
}

// Several processes copy the records of the same deliveries while a sender goes on with some of them.
func TestARecordIsCopiedOnceAndOnlyWhileItIsTheNewest(t *testing.T) {
	c := bustest.Start(t).Conn()
	h := deliverylog.New(c)
	defer h.Close()
	const n = 300
	for i := range n {
		r := record(newEvent(t, fmt.Sprint("e-", i)), "r1", 1, delivery.StateRetrying)
		r.Detail = strings.Repeat("x", i)
		if err := append1(t, h, r); err != nil {
			t.Fatal(err)
		}
	}
	found, next, err := h.Retrying(t.Context(), 1, n+1, 2*n)
	if err != nil || len(found) != n || next != n+1 {
		t.Fatalf("found %d, next %d, %v", len(found), next, err)
	}
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if _, err := h.Carry(t.Context(), found); err != nil {
				t.Error(err)
			}
		})
	}
	for i := range n / 10 {
		wg.Go(func() {
			if err := append1(t, h, record(newEvent(t, fmt.Sprint("e-", i)), "r1", 2, delivery.StateDelivered)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if copied, err := h.Carry(t.Context(), found); copied != 0 || err != nil {
		t.Errorf("%d are copied again, %v", copied, err)
	}
	copies := 0
	for i := range n {
		e := newEvent(t, fmt.Sprint("e-", i))
		last, at, err := h.Latest(t.Context(), "r1", e, "")
		if err != nil || at == 0 {
			t.Fatal(at, err)
		}
		if i < n/10 {
			if last.State != delivery.StateDelivered {
				t.Errorf("%s was delivered; the newest record is a copy: %+v", e.ID, last)
			}
			continue
		}
		if last.Carried == nil || !last.Carried.Equal(found[i].Time) || last.Detail != strings.Repeat("x", i) {
			t.Errorf("%s has the copy %+v", e.ID, last)
		}
	}
	if end, err := h.LastSequence(t.Context()); err == nil {
		copies = int(end) - n - n/10
	}
	if copies < n-n/10 || copies > n {
		t.Errorf("%d deliveries have %d copies", n, copies)
	}
}
