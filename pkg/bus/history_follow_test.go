package bus_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bustest"
	"github.com/outbound-events/outbound/pkg/delivery"
)

// attemptNumber is a record of an attempt of an event of its own.
func attemptNumber(n int, state delivery.State, tried bool) delivery.Record {
	now := time.Now()
	rec := delivery.Record{Recipient: fmt.Sprintf("r%d", n%3), Channel: "http", EventID: fmt.Sprintf("e-%d", n), Appliance: "a1", Type: "support_conference_end", State: state, Attempt: 1, Accepted: now, Expire: now}
	if tried {
		rec.LastAttempt = &now
	} else {
		rec.Attempt = 0
	}
	return rec
}

func TestFollowersAreToldOfEachRecordOnceAcrossARestart(t *testing.T) {
	b := bustest.Start(t)
	c := b.Conn()
	h := bus.NewHistory(c)
	defer h.Close()
	records := 0
	record := func(n int) {
		t.Helper()
		done := make(chan error, n)
		for range n {
			state, tried := delivery.StateDelivered, true
			if records%2 == 1 {
				state, tried = delivery.StateSkipped, false
			}
			h.AppendAttempt(attemptNumber(records, state, tried), func(err error) { done <- err })
			records++
		}
		for range n {
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
	}
	record(1)
	var since time.Time
	seen, mu, caught := map[uint64]bus.Glimpse{}, sync.Mutex{}, make(chan struct{}, 1)
	record(2_999)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() {
		h.Follow(ctx, since, func(g bus.Glimpse) {
			mu.Lock()
			defer mu.Unlock()
			if _, again := seen[g.Sequence]; again {
				t.Errorf("record %d is told twice", g.Sequence)
			}
			seen[g.Sequence] = g
		}, func() {
			select {
			case caught <- struct{}{}:
			default:
			}
		})
	})
	<-caught
	told := func(want int) {
		t.Helper()
		have := func() int {
			mu.Lock()
			defer mu.Unlock()
			return len(seen)
		}
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for deadline := time.Now().Add(20 * time.Second); have() < want && time.Now().Before(deadline); {
			<-tick.C
		}
		if got := have(); got != want {
			t.Fatalf("%d records are told, want %d", got, want)
		}
	}
	told(3_000)
	record(10)
	told(3_010)
	b.Restart()
	record(500)
	told(3_510)
	b.Restart()
	record(5)
	told(3_515)
	for sequence, g := range seen {
		want := delivery.StateDelivered
		if sequence%2 == 0 {
			want = delivery.StateSkipped
		}
		if g.State != want || g.Tried != (want == delivery.StateDelivered) || g.Recipient != fmt.Sprintf("r%d", (sequence-1)%3) || time.Since(g.Stored) > time.Minute {
			t.Fatalf("record %d shows %+v", sequence, g)
		}
	}
}

func TestFollowersBeginWhereTheyAreAsked(t *testing.T) {
	c := bustest.Start(t).Conn()
	h := bus.NewHistory(c)
	defer h.Close()
	done := make(chan error, 1)
	h.AppendAttempt(attemptNumber(0, delivery.StateDelivered, true), func(err error) { done <- err })
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	told := 0
	h.Follow(ctx, time.Now().Add(time.Hour), func(bus.Glimpse) { told++ }, cancel)
	if told != 0 {
		t.Errorf("%d records of before are told", told)
	}
}
