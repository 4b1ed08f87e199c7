package throttle_test

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/redistest"
	"github.com/outbound-events/outbound/pkg/throttle"
	"github.com/outbound-events/outbound/pkg/waittest"
)

func TestMain(m *testing.M) { waittest.VerifyTestMain(m) }

func shared(t *testing.T, address string, replicas int) *throttle.Redis {
	t.Helper()
	r, err := throttle.NewRedis(throttle.RedisOptions{Address: address, Replicas: replicas, Timeout: waittest.Limit},
		slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

// The contract of every limiter. The limits are of an hour, so that no test depends on the clock.
func TestLimiters(t *testing.T) {
	limiters := map[string]func(t *testing.T) throttle.Limiter{
		"memory":     func(*testing.T) throttle.Limiter { return throttle.NewMemory() },
		"redis":      func(t *testing.T) throttle.Limiter { return shared(t, redistest.Start(t).Address, 3) },
		"redis away": func(t *testing.T) throttle.Limiter { return shared(t, "127.0.0.1:1", 1) },
	}
	for name, open := range limiters {
		t.Run(name, func(t *testing.T) {
			l := open(t)
			limit := throttle.Limit{Turns: 100, Period: time.Hour}
			if got := turns(t, l, "a", limit, 200); got != 10 {
				t.Errorf("%d turns at once, want the burst of 10", got)
			}
			wait := l.Take(t.Context(), "a", limit)
			if wait <= 0 || wait > 36*time.Second {
				t.Errorf("wait %v, want at most the 36 s between two turns", wait)
			}
			if got := turns(t, l, "b", limit, 20); got != 10 {
				t.Errorf("another key had %d turns, want 10", got)
			}
			if got := turns(t, l, "c", throttle.Limit{}, 50); got != 50 {
				t.Errorf("without a limit %d turns, want 50", got)
			}
			if got := turns(t, l, "d", throttle.Limit{Turns: 1, Period: time.Hour}, 5); got != 1 {
				t.Errorf("one an hour had %d turns", got)
			}
		})
	}
}

// turns asks from many goroutines at once and counts the turns had.
func turns(t *testing.T, l throttle.Limiter, key string, limit throttle.Limit, n int) int64 {
	t.Helper()
	var had atomic.Int64
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			if l.Take(context.Background(), key, limit) == 0 {
				had.Add(1)
			}
		})
	}
	wg.Wait()
	return had.Load()
}

func TestReplicasShareALimitAndKeepToTheirPartWhileRedisIsAway(t *testing.T) {
	s := redistest.Start(t)
	a, b := shared(t, s.Address, 2), shared(t, s.Address, 2)
	limit := throttle.Limit{Turns: 100, Period: time.Hour}
	if got := turns(t, a, "x", limit, 6) + turns(t, b, "x", limit, 20); got != 10 {
		t.Errorf("two replicas had %d turns, want 10 together", got)
	}
	s.Kill()
	if got := turns(t, a, "y", limit, 50); got != 10 {
		t.Errorf("alone it had %d turns at once, want its burst of 10", got)
	}
	if wait := a.Take(t.Context(), "y", limit); wait <= 36*time.Second {
		t.Errorf("alone a turn comes every %v, want half as often as shared", wait)
	}
	s.Restart()
	waittest.Until(t, "the limit to be shared again", func() bool {
		return b.Take(t.Context(), "z", limit) > 0 && a.Take(t.Context(), "z", limit) > 0
	})
	if got := turns(t, a, "z", limit, 10) + turns(t, b, "z", limit, 10); got != 0 {
		t.Errorf("%d turns beyond the shared limit", got)
	}
}

func TestOptionsThatContradictThemselvesAreRefused(t *testing.T) {
	for _, o := range []throttle.RedisOptions{{Replicas: -1}, {Timeout: -1}, {PasswordFile: "x"},
		{Address: "127.0.0.1:1", PasswordFile: "/nowhere"}, {Address: "127.0.0.1:1", CAFile: "/dev/null"}} {
		if _, err := throttle.NewRedis(o, nil); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
}
