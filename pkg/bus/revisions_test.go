package bus_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bustest"
)

func settings(t *testing.T, c *bus.Conn) *bus.Bucket {
	t.Helper()
	b, err := c.Bucket(t.Context(), bus.BucketSettings)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// summary is a change in a line.
func summary(c bus.Change) string {
	value := string(c.Value)
	if c.Removed {
		value = "-"
	}
	return fmt.Sprintf("%d %s=%s %s %s %d", c.Revision, c.Key, value, c.Actor, c.Action, c.RolledBackTo)
}

func TestEachChangeOfAKeyIsKeptWithWhoMadeIt(t *testing.T) {
	b := settings(t, bustest.Start(t).Conn())
	write := func(key, value string, revision uint64, n bus.Note) uint64 {
		t.Helper()
		rev, err := b.Write(t.Context(), key, []byte(value), revision, n)
		if err != nil {
			t.Fatal(err)
		}
		return rev
	}
	one := write("a", "1", 0, bus.Note{Actor: "ann", Action: "created"})
	write("b.x", "other", 0, bus.Note{Actor: "bob", Action: "created"})
	two := write("a", "2", one, bus.Note{Actor: "bob\r\nEvil: 1", Action: "changed"})
	if err := b.Remove(t.Context(), "a", two, bus.Note{Actor: "ann", Action: "deleted"}); err != nil {
		t.Fatal(err)
	}
	back := write("a", "1", 0, bus.Note{Actor: "eve", Action: "rolled back", RolledBackTo: one})

	want := []string{"5 a=1 eve rolled back 1", "4 a=- ann deleted 0", "3 a=2 bob  Evil: 1 changed 0", "1 a=1 ann created 0"}
	got, err := b.Changes(t.Context(), "a", 0, 100)
	if err != nil || len(got) != len(want) {
		t.Fatalf("%d changes (%v), want %d", len(got), err, len(want))
	}
	for i, c := range got {
		if summary(c) != want[i] || c.Time.IsZero() {
			t.Errorf("change %d is %q, want %q", i, summary(c), want[i])
		}
	}
	if older, err := b.Changes(t.Context(), ">", 4, 2); err != nil || len(older) != 2 || older[0].Revision != 3 || older[1].Key != "b.x" {
		t.Errorf("the page before is %v, %v", older, err)
	}
	if c, ok, err := b.ChangeBefore(t.Context(), "a", 3); !ok || err != nil || c.Revision != one {
		t.Errorf("before 3 came %v, %t, %v", c, ok, err)
	}
	if _, ok, err := b.ChangeBefore(t.Context(), "a", one); ok || err != nil {
		t.Errorf("something came before the first: %v", err)
	}
	if c, ok, err := b.ChangeAt(t.Context(), "a", two); !ok || err != nil || string(c.Value) != "2" {
		t.Errorf("at %d there is %v, %t, %v", two, c, ok, err)
	}
	if _, ok, _ := b.ChangeAt(t.Context(), "a", 2); ok {
		t.Error("another key's revision was taken for this one's")
	}
	if e, err := b.Get(t.Context(), "a"); err != nil || e.Revision != back {
		t.Errorf("the key is at %d (%v), want %d", e.Revision, err, back)
	}
}

func TestOfWritersThatMeetOneWins(t *testing.T) {
	b := settings(t, bustest.Start(t).Conn())
	rev, err := b.Write(t.Context(), "a", []byte("1"), 0, bus.Note{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Write(t.Context(), "a", []byte("2"), 0, bus.Note{}); !errors.Is(err, bus.ErrExists) {
		t.Errorf("a key was created twice: %v", err)
	}
	if _, err := b.Write(t.Context(), "a", []byte("2"), rev, bus.Note{}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Write(t.Context(), "a", []byte("1"), rev, bus.Note{}); !errors.Is(err, bus.ErrConflict) {
		t.Errorf("a stale change was taken: %v", err)
	}
	if err := b.Remove(t.Context(), "a", rev, bus.Note{}); !errors.Is(err, bus.ErrConflict) {
		t.Errorf("a stale removal was taken: %v", err)
	}
	if got, err := b.Changes(t.Context(), "a", 0, 9); err != nil || len(got) != 2 {
		t.Errorf("%d changes were stored (%v), want 2", len(got), err)
	}
}

func TestABucketOfAnOlderReleaseKeepsMoreFromNowOn(t *testing.T) {
	c := bustest.Start(t).Conn()
	js, err := c.IntakeConn().JetStream()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{bus.BucketRecipients, bus.BucketSettings} {
		if err := js.DeleteKeyValue(name); err != nil {
			t.Fatal(err)
		}
		kv, err := js.CreateKeyValue(&nats.KeyValueConfig{Bucket: name, History: 1})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := kv.PutString("old", "1"); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := c.EnsureStreams(t.Context(), bustest.StreamOptions()); err != nil {
			t.Fatal(err)
		}
	}
	b := settings(t, c)
	e, err := b.Get(t.Context(), "old")
	if err != nil || string(e.Value) != "1" {
		t.Fatalf("the old value is %q (%v)", e.Value, err)
	}
	rev := e.Revision
	for i := range 70 {
		if rev, err = b.Write(t.Context(), "old", []byte(fmt.Sprint(i)), rev, bus.Note{}); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := b.Changes(t.Context(), "old", 0, 1000); err != nil || len(got) != 64 {
		t.Errorf("%d changes are kept (%v), want 64", len(got), err)
	}
}
