package session_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/outbound-events/outbound/pkg/redistest"
	"github.com/outbound-events/outbound/pkg/session"
	"github.com/outbound-events/outbound/pkg/throttle"
	"github.com/outbound-events/outbound/pkg/waittest"
)

func TestMain(m *testing.M) { waittest.VerifyTestMain(m) }

func shared(t *testing.T, address string) *session.Redis {
	t.Helper()
	r, err := session.NewRedis(throttle.RedisOptions{Address: address, Timeout: waittest.Limit})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

// spy is a store that shows what it was given.
type spy struct {
	session.Store
	mu   sync.Mutex
	keys []string
	seen strings.Builder
}

func (s *spy) Put(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	s.mu.Lock()
	s.keys = append(s.keys, key)
	s.seen.WriteString(key)
	s.seen.Write(value)
	s.mu.Unlock()
	return s.Store.Put(ctx, key, value, ttl)
}

// The contract of every store.
func TestStores(t *testing.T) {
	stores := map[string]func(t *testing.T) session.Store{
		"memory": func(*testing.T) session.Store { return session.NewMemory() },
		"redis":  func(t *testing.T) session.Store { return shared(t, redistest.Start(t).Address) },
	}
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			ctx, store := t.Context(), &spy{Store: open(t)}
			s := session.New(store, session.DefaultOptions())
			a := start(t, s, "alice's secret")
			b := start(t, s, "bob")
			if a == b || len(a) != 43 {
				t.Fatalf("ids %q and %q", a, b)
			}
			for range 2 {
				if got, err := s.Find(ctx, a); err != nil || string(got) != "alice's secret" {
					t.Fatalf("found %q, %v", got, err)
				}
			}
			if seen := store.seen.String(); strings.Contains(seen, "alice") || strings.Contains(seen, a) {
				t.Error("the store sees who is signed in, or by which id")
			}
			for _, id := range []string{"", "x", strings.Repeat("A", 43), a + "A", a[:42] + "!", store.keys[0]} {
				if got, err := s.Find(ctx, id); !errors.Is(err, session.ErrNone) {
					t.Errorf("with %q found %q, %v", id, got, err)
				}
			}
			// What is stored for one is worth nothing to another.
			theirs, err := store.Get(ctx, store.keys[0], time.Hour)
			if err != nil {
				t.Fatal(err)
			}
			if err := store.Store.Put(ctx, store.keys[1], theirs, time.Hour); err != nil {
				t.Fatal(err)
			}
			if got, err := s.Find(ctx, b); !errors.Is(err, session.ErrNone) {
				t.Errorf("bob is %q now, %v", got, err)
			}
			for range 2 {
				if err := s.End(ctx, a); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := s.Find(ctx, a); !errors.Is(err, session.ErrNone) {
				t.Errorf("a session that was ended: %v", err)
			}
			// One that has run out is gone.
			if err := store.Put(ctx, "short", []byte("x"), time.Millisecond); err != nil {
				t.Fatal(err)
			}
			waittest.Until(t, "what has run out to be gone", func() bool {
				_, err := store.Get(ctx, "short", time.Millisecond)
				if err != nil && !errors.Is(err, session.ErrNone) {
					t.Fatal(err)
				}
				return err != nil
			})
		})
	}
}

func start(t *testing.T, s *session.Sessions, data string) string {
	t.Helper()
	id, err := s.Start(t.Context(), []byte(data))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestASessionEndsWhenItIsIdleAndAfterItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := session.New(session.NewMemory(), session.Options{Idle: time.Hour, Absolute: 3 * time.Hour})
		idle, busy := start(t, s, "idle"), start(t, s, "busy")
		found := 0
		for range 40 {
			time.Sleep(5 * time.Minute)
			if _, err := s.Find(t.Context(), busy); err == nil {
				found++
			} else if !errors.Is(err, session.ErrNone) {
				t.Fatal(err)
			}
		}
		if found != 35 {
			t.Errorf("a busy session was found %d times of 40, want the 35 before its 3 h", found)
		}
		if _, err := s.Find(t.Context(), idle); !errors.Is(err, session.ErrNone) {
			t.Errorf("after hours without a request: %v", err)
		}
	})
}

func TestRedisThatIsAwayIsNotTakenForNoSession(t *testing.T) {
	server := redistest.Start(t)
	s := session.New(shared(t, server.Address), session.DefaultOptions())
	id := start(t, s, "x")
	server.Kill()
	if _, err := s.Find(t.Context(), id); err == nil || errors.Is(err, session.ErrNone) {
		t.Errorf("%v", err)
	}
	if _, err := s.Start(t.Context(), nil); err == nil {
		t.Error("a session was begun that nobody keeps")
	}
	server.Restart()
	waittest.NoError(t, "Redis to be back, and empty", func() error {
		_, err := s.Find(t.Context(), id)
		if errors.Is(err, session.ErrNone) {
			return nil
		}
		return fmt.Errorf("found %w", err)
	})
}

func TestTwoConsolesShareSessions(t *testing.T) {
	server := redistest.Start(t)
	a, b := session.New(shared(t, server.Address), session.DefaultOptions()), session.New(shared(t, server.Address), session.DefaultOptions())
	id := start(t, a, "x")
	if got, err := b.Find(t.Context(), id); err != nil || string(got) != "x" {
		t.Fatalf("%q %v", got, err)
	}
	if err := b.End(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Find(t.Context(), id); !errors.Is(err, session.ErrNone) {
		t.Errorf("%v", err)
	}
}

func TestOptionsOutOfRangeAreNamed(t *testing.T) {
	for want, o := range map[string]session.Options{"idle: ": {Absolute: time.Hour}, "absolute: ": {Idle: time.Hour, Absolute: time.Minute}} {
		if err := o.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	if err := session.DefaultOptions().Validate(); err != nil {
		t.Error(err)
	}
}
