package store_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bustest"
	"github.com/outbound-events/outbound/pkg/waittest"
	"github.com/outbound-events/outbound/services/config/internal/store"
)

func TestMain(m *testing.M) { waittest.VerifyTestMain(m) }

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := waittest.Context(context.Background())
	t.Cleanup(cancel)
	return ctx
}

// empty is a store without keys, to copy from.
type empty struct{ store.Store }

func (empty) List(context.Context, string) ([]bus.Entry, error) { return nil, nil }

func memory(t *testing.T) *store.Memory {
	t.Helper()
	m, err := store.NewMemory(testContext(t), empty{}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// put writes a key that must succeed.
func put(t *testing.T, s store.Store, key, value string, revision uint64) uint64 {
	t.Helper()
	written, err := s.Apply(testContext(t), store.Mutation{Key: key, Value: []byte(value), Revision: revision})
	if err != nil {
		t.Fatalf("write %s: %v", key, err)
	}
	return written
}

func keys(t *testing.T, s store.Store, prefix string) (out []string) {
	t.Helper()
	entries, err := s.List(testContext(t), prefix)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		out = append(out, e.Key+"="+string(e.Value))
	}
	return out
}

// contract is what both stores do.
func contract(t *testing.T, s store.Store) {
	ctx := testContext(t)
	if _, err := s.Get(ctx, "a.1"); !errors.Is(err, bus.ErrNotFound) {
		t.Errorf("a key that was never written is read with %v", err)
	}
	first := put(t, s, "a.1", "one", 0)
	if _, err := s.Apply(ctx, store.Mutation{Key: "a.1", Value: []byte("two")}); !errors.Is(err, bus.ErrConflict) {
		t.Errorf("a key that exists is created with %v", err)
	}
	second := put(t, s, "a.1", "two", first)
	if second <= first {
		t.Errorf("revision %d follows %d", second, first)
	}
	if _, err := s.Apply(ctx, store.Mutation{Key: "a.1", Value: []byte("three"), Revision: first}); !errors.Is(err, bus.ErrConflict) {
		t.Errorf("an older revision is replaced with %v", err)
	}
	put(t, s, "a.0", "zero", 0)
	put(t, s, "b.1", "other", 0)
	if got := keys(t, s, "a."); len(got) != 2 || got[0] != "a.0=zero" || got[1] != "a.1=two" {
		t.Errorf("listed %q", got)
	}
	e, err := s.Get(ctx, "a.1")
	if err != nil || string(e.Value) != "two" || e.Revision != second || e.Time.IsZero() {
		t.Errorf("read %+v, %v", e, err)
	}
	if _, err := s.Apply(ctx, store.Mutation{Key: "a.1", Remove: true, Revision: first}); !errors.Is(err, bus.ErrConflict) {
		t.Errorf("an older revision is removed with %v", err)
	}
	if _, err := s.Apply(ctx, store.Mutation{Key: "a.1", Remove: true, Revision: second}); err != nil {
		t.Errorf("remove: %v", err)
	}
	if _, err := s.Apply(ctx, store.Mutation{Key: "a.1", Remove: true, Revision: second}); !errors.Is(err, bus.ErrConflict) {
		t.Errorf("a removed key is removed again with %v", err)
	}
	if _, err := s.Get(ctx, "a.1"); !errors.Is(err, bus.ErrNotFound) {
		t.Errorf("a removed key is read with %v", err)
	}
	put(t, s, "a.1", "again", 0)
}

func TestStores(t *testing.T) {
	t.Run("KV", func(t *testing.T) { contract(t, store.NewKV(bustest.Start(t).Conn(), bus.BucketSettings, nil)) })
	t.Run("Memory", func(t *testing.T) { contract(t, memory(t)) })
}

func TestACopyDoesNotReachItsOriginal(t *testing.T) {
	kv := store.NewKV(bustest.Start(t).Conn(), bus.BucketSettings, nil)
	revision := put(t, kv, "a", "one", 0)
	m, err := store.NewMemory(testContext(t), kv, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	put(t, m, "a", "two", revision)
	put(t, m, "b", "new", 0)
	if got := keys(t, kv, ""); len(got) != 1 || got[0] != "a=one" {
		t.Errorf("the bucket holds %q", got)
	}
}

func TestChangesAreNoted(t *testing.T) {
	kv := store.NewKV(bustest.Start(t).Conn(), bus.BucketSettings, nil)
	ctx := testContext(t)
	revision := put(t, kv, "a", "one", 0)
	revision = put(t, kv, "a", "two", revision)
	note := store.ChangeNote{Action: store.ActionRolledBack, RolledBackTo: 1}
	revision, err := kv.Apply(ctx, store.Mutation{Key: "a", Value: []byte("one"), Revision: revision, Note: note})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.Apply(ctx, store.Mutation{Key: "a", Remove: true, Revision: revision}); err != nil {
		t.Fatal(err)
	}
	changes, err := kv.Changes(ctx, "a", 0, 10)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{store.ActionDeleted, store.ActionRolledBack, store.ActionChanged, store.ActionCreated}
	if len(changes) != len(want) {
		t.Fatalf("the bucket keeps %d changes, want %d", len(changes), len(want))
	}
	for i, c := range changes {
		if c.Action != want[i] {
			t.Errorf("change %d is called %q, want %q", i, c.Action, want[i])
		}
	}
	if changes[1].RolledBackTo != 1 {
		t.Errorf("rolled back to %d, want 1", changes[1].RolledBackTo)
	}
	select {
	case <-kv.Dirty():
	default:
		t.Error("a write does not mark the bucket as dirty")
	}
}
