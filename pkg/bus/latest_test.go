package bus_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/bustest"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// TestManyAskForTheNewestRecordAtOnce asks for deliveries with several records, with one and with none, each of several recipients and
// of a replay, many times at once: each caller gets its own answer.
func TestManyAskForTheNewestRecordAtOnce(t *testing.T) {
	h := deliverylog.New(bustest.Start(t).Conn())
	defer h.Close()
	const events, callers = 60, 700
	want := map[string]int{}
	key := func(r string, n int, replay string) string { return fmt.Sprint(r, " ", n, " ", replay) }
	for n := range events {
		e := newEvent(t, fmt.Sprint("e-", n))
		for attempt := 1; attempt <= n%4; attempt++ {
			state := delivery.StateRetrying
			if attempt == 3 {
				state = delivery.StateDelivered
			}
			if err := append1(t, h, record(e, "r1", attempt, state)); err != nil {
				t.Fatal(err)
			}
			want[key("r1", n, "")] = attempt
		}
		if n%5 == 0 {
			rec := record(e, "r2", 9, delivery.StateExpired)
			rec.ReplayID = "01R"
			if err := append1(t, h, rec); err != nil {
				t.Fatal(err)
			}
			want[key("r2", n, "01R")] = 9
		}
	}
	begin := make(chan struct{})
	var wg sync.WaitGroup
	for i := range callers {
		n, r, replay := i%events, []string{"r1", "r2"}[i/events%2], []string{"", "01R"}[i/events%3%2]
		e := newEvent(t, fmt.Sprint("e-", n))
		wg.Go(func() {
			<-begin
			rec, at, err := h.Latest(t.Context(), r, e, replay)
			ok := at != 0
			if expected := want[key(r, n, replay)]; err != nil || ok != (expected > 0) || rec.Attempt != expected || ok &&
				(rec.EventID != e.ID || rec.Recipient != r) {
				t.Errorf("%s: attempt %d of %s to %s, found %v, want attempt %d: %v", key(r, n, replay), rec.Attempt, rec.EventID, rec.Recipient,
					ok, expected, err)
			}
		})
	}
	close(begin)
	wg.Wait()
}

func TestWhoGivesUpAskingLeavesOthersTheirAnswer(t *testing.T) {
	b := bustest.Start(t)
	h := deliverylog.New(b.Conn())
	defer h.Close()
	e := newEvent(t, "e-1")
	if err := append1(t, h, record(e, "r1", 2, delivery.StateRetrying)); err != nil {
		t.Fatal(err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	// On a busy machine the answer may be there as soon as it is asked for.
	if rec, at, err := h.Latest(gone, "r1", e, ""); !errors.Is(err, context.Canceled) && (err != nil || at == 0 || rec.Attempt != 2) {
		t.Errorf("who has given up gets %+v, %v, %v", rec, at, err)
	}
	if rec, at, err := h.Latest(t.Context(), "r1", e, ""); err != nil || at == 0 || rec.Attempt != 2 {
		t.Errorf("the next gets %+v, %v, %v", rec, at, err)
	}
	b.Stop()
	if _, _, err := h.Latest(t.Context(), "r1", e, ""); err == nil {
		t.Error("a broker that is away answered")
	}
	b.Restart()
	waittest.NoError(t, "the broker to answer again", func() error {
		rec, at, err := h.Latest(t.Context(), "r1", e, "")
		if err == nil && (at == 0 || rec.Attempt != 2) {
			t.Fatalf("after the broker came back: %+v, %v", rec, at)
		}
		return err
	})
}

// BenchmarkLatest asks for what nobody has recorded, as a sender that is started on a backlog does, from 16 callers at once.
func BenchmarkLatest(b *testing.B) {
	h := deliverylog.New(bustest.Start(b).Conn())
	defer h.Close()
	e := newEvent(b, "e-1")
	b.SetParallelism(8)
	var asked atomic.Int64
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for one := *e; pb.Next(); {
			one.ID = fmt.Sprint("e-", asked.Add(1))
			if _, at, err := h.Latest(b.Context(), "r1", &one, ""); at != 0 || err != nil {
				b.Error(at, err)
			}
		}
	})
}
