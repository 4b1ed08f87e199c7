package lease_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/bus/lease"
	"github.com/outbound-events/outbound/pkg/bustest"
	"github.com/outbound-events/outbound/pkg/waittest"
)

func TestMain(m *testing.M) { waittest.VerifyTestMain(m) }

// of returns the lease of a process with a connection of its own.
func of(b *bustest.Server, instance string, lasts time.Duration) *lease.Lease {
	return lease.New(lease.Options{Conn: b.Conn(), Name: "config", Self: lease.Holder{Instance: instance, Host: "h", PID: 7}, Lasts: lasts})
}

// acquired is the end of an Acquire, and who it was told to wait for.
func acquired(t *testing.T, l *lease.Lease) (ended <-chan error, waits <-chan lease.Holder) {
	e, w := make(chan error, 1), make(chan lease.Holder, 1)
	go func() {
		e <- l.Acquire(t.Context(), func(h lease.Holder) {
			select {
			case w <- h:
			default:
			}
		})
	}()
	return e, w
}

func TestALeaseThatIsReleasedIsTakenBeforeItsTime(t *testing.T) {
	b := bustest.Start(t)
	const lasts = time.Minute
	first, second := of(b, "first", lasts), of(b, "second", lasts)
	if err := first.Acquire(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- first.Run(ctx) }()
	ended, waits := acquired(t, second)
	if h := waittest.Receive(t, "who is waited for", waits); h.Instance != "first" || h.PID != 7 {
		t.Errorf("it waits for %+v", h)
	}
	if err := first.Hold(t.Context()); err != nil {
		t.Errorf("the holder may not act: %v", err)
	}
	gone, over := context.WithCancel(t.Context())
	over()
	if err := second.Hold(gone); !errors.Is(err, lease.ErrNotHeld) {
		t.Errorf("the candidate may act: %v", err)
	}
	began := time.Now()
	cancel()
	if err := waittest.Receive(t, "the end of the first", ran); err != nil {
		t.Error(err)
	}
	if err := waittest.Receive(t, "the lease", ended); err != nil || time.Since(began) > lasts {
		t.Errorf("it was taken after %v with %v", time.Since(began), err)
	}
}

// A process that is frozen renews nothing. When another has the lease, it may not act, finds out when it runs again, and does not disturb.
func TestAFrozenHolderMayNotActOnceAnotherHasTheLease(t *testing.T) {
	b := bustest.Start(t)
	const lasts = 2 * time.Second
	frozen, next := of(b, "frozen", lasts), of(b, "next", lasts)
	began := time.Now()
	if err := frozen.Acquire(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if err := next.Acquire(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < lasts {
		t.Errorf("the lease was taken over after %v", took)
	}
	gone, over := context.WithCancel(t.Context())
	over()
	if err := frozen.Hold(gone); err == nil {
		t.Error("two processes may act")
	}
	if err := frozen.Run(t.Context()); !errors.Is(err, lease.ErrLost) {
		t.Errorf("it ran on: %v", err)
	}
	if err := frozen.Hold(t.Context()); !errors.Is(err, lease.ErrLost) {
		t.Errorf("it may act again: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- next.Run(ctx) }()
	if err := next.Hold(t.Context()); err != nil {
		t.Error(err)
	}
	cancel()
	if err := waittest.Receive(t, "the end", ran); err != nil {
		t.Error(err)
	}
}

// While the broker is away nobody can take the lease over: its holder waits, and goes on afterwards.
func TestAHolderOutlivesTheBroker(t *testing.T) {
	b := bustest.Start(t)
	const lasts = 4 * time.Second
	holder, candidate := of(b, "holder", lasts), of(b, "candidate", lasts)
	if err := holder.Acquire(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ran := make(chan error, 1)
	go func() { ran <- holder.Run(ctx) }()
	ended, waits := acquired(t, candidate)
	waittest.Receive(t, "the candidate", waits)
	b.Stop()
	gone, over := context.WithCancel(t.Context())
	over()
	waittest.Until(t, "the end of the holder's time", func() bool { return holder.Hold(gone) != nil })
	b.Restart()
	if err := holder.Hold(t.Context()); err != nil {
		t.Errorf("the holder may not act: %v", err)
	}
	cancel()
	if err := waittest.Receive(t, "the end of the holder", ran); err != nil {
		t.Error(err)
	}
	if err := waittest.Receive(t, "the lease", ended); err != nil {
		t.Error(err)
	}
}

func TestOneOfManyHoldsTheLeaseAtATime(t *testing.T) {
	b := bustest.Start(t)
	const processes, turns = 4, 3
	var holders, held atomic.Int32
	var all sync.WaitGroup
	for p := range processes {
		all.Go(func() {
			for turn := range turns {
				l := of(b, fmt.Sprint(p, "-", turn), 2*time.Second)
				if err := l.Acquire(t.Context(), nil); err != nil {
					t.Error(err)
					return
				}
				ctx, cancel := context.WithCancel(t.Context())
				if n := holders.Add(1); n > 1 {
					t.Errorf("%d processes hold the lease", n)
				}
				held.Add(1)
				holders.Add(-1)
				cancel()
				if err := l.Run(ctx); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if n := held.Load(); n != processes*turns {
		t.Errorf("it was held %d times, want %d", n, processes*turns)
	}
}
