package bus_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/bustest"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// attemptNumber is a record of an attempt of an event of its own.
func attemptNumber(n int, state delivery.State, tried bool) delivery.Record {
	now := time.Now()
	rec := delivery.Record{Recipient: fmt.Sprintf("r%d", n%3), Channel: "http", EventID: fmt.Sprintf("e-%d", n), Appliance: "a1",
		Type: "support_conference_end", State: state, Attempt: 1, Accepted: now, Expire: now}
	if tried {
		rec.LastAttempt = &now
	} else {
		rec.Attempt = 0
	}
	return rec
}

// follower keeps what a follower is told.
type follower struct {
	t      *testing.T
	mu     sync.Mutex
	seen   map[uint64]deliverylog.RecordHeader
	caught chan struct{}
	// again counts how often all was told anew.
	again int
}

func (f *follower) tell(g deliverylog.RecordHeader) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, again := f.seen[g.Sequence]; again {
		f.t.Errorf("record %d is told twice", g.Sequence)
	}
	f.seen[g.Sequence] = g
}

func (f *follower) follower(since time.Time, newest uint64) deliverylog.Follower {
	return deliverylog.Follower{Since: since, Newest: newest, Notify: f.tell, CaughtUp: f.caughtUp, Again: func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.seen = map[uint64]deliverylog.RecordHeader{}
		f.again++
	}}
}

func (f *follower) caughtUp() {
	select {
	case f.caught <- struct{}{}:
	default:
	}
}

func (f *follower) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.seen)
}

// told waits until so many records are told, and wants no more.
func (f *follower) told(want int) {
	f.t.Helper()
	waittest.Until(f.t, fmt.Sprint(want, " records to be told"), func() bool { return f.count() >= want })
	if got := f.count(); got != want {
		f.t.Fatalf("%d records are told, want %d", got, want)
	}
}

// recordFrom records n attempts, those with odd numbers without having sent anything.
func recordFrom(t *testing.T, h *deliverylog.Log, first, n int) {
	t.Helper()
	done := make(chan error, n)
	for i := first; i < first+n; i++ {
		state, tried := delivery.StateDelivered, true
		if i%2 == 1 {
			state, tried = delivery.StateSkipped, false
		}
		h.AppendAttempt(attemptNumber(i, state, tried), func(err error) { done <- err })
	}
	for range n {
		// A record whose result was unknown is repeated, and may have been stored at the first time.
		if err := unlessStored(<-done); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFollowersAreToldOfEachRecordOnceAcrossARestart(t *testing.T) {
	b := bustest.Start(t)
	h := deliverylog.New(b.Conn())
	defer h.Close()
	began := time.Now()
	recordFrom(t, h, 0, 3_000)
	f := &follower{t: t, seen: map[uint64]deliverylog.RecordHeader{}, caught: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { h.Follow(ctx, f.follower(time.Time{}, 0)) })
	<-f.caught
	f.told(3_000)
	recordFrom(t, h, 3_000, 10)
	f.told(3_010)
	b.Restart()
	recordFrom(t, h, 3_010, 500)
	f.told(3_510)
	b.Restart()
	recordFrom(t, h, 3_510, 5)
	f.told(3_515)
	events := map[string]bool{}
	for sequence, g := range f.seen {
		// A record that was repeated across a restart may be stored behind later ones.
		n, err := strconv.Atoi(strings.TrimPrefix(g.EventID, "e-"))
		want := delivery.StateDelivered
		if n%2 == 1 {
			want = delivery.StateSkipped
		}
		if err != nil || g.State != want || g.Tried != (want == delivery.StateDelivered) || g.Recipient != fmt.Sprintf("r%d", n%3) ||
			g.Stored.Before(began) || time.Since(g.Stored) < 0 {
			t.Fatalf("record %d shows %+v", sequence, g)
		}
		events[g.EventID] = true
	}
	if len(events) != 3_515 {
		t.Errorf("the records are of %d events, want 3515", len(events))
	}
}

func TestFollowersBeginWhereTheyAreAsked(t *testing.T) {
	c := bustest.Start(t).Conn()
	h := deliverylog.New(c)
	defer h.Close()
	done := make(chan error, 1)
	h.AppendAttempt(attemptNumber(0, delivery.StateDelivered, true), func(err error) { done <- err })
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	told := 0
	h.Follow(ctx, deliverylog.Follower{Since: time.Now().Add(time.Hour), Notify: func(deliverylog.RecordHeader) { told++ }, CaughtUp: cancel})
	if told != 0 {
		t.Errorf("%d records of before are told", told)
	}
}
