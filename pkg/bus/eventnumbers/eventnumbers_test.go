package eventnumbers_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bus/eventlog"
	"github.com/outbound-events/outbound/pkg/bus/eventnumbers"
	"github.com/outbound-events/outbound/pkg/bustest"
	"github.com/outbound-events/outbound/pkg/delivery/numbering"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// to is an HTTP recipient of some event types.
func to(id string, types ...string) *recipient.Recipient {
	return &recipient.Recipient{ID: id, Enabled: true, EventTypes: types, HTTP: &recipient.HTTPTarget{}, StartSequence: 1}
}

// publish stores n events, of the types in turn, and returns their sequences.
func publish(t *testing.T, pub *bus.Publisher, from, n int, types ...string) (out []uint64) {
	t.Helper()
	for i := from; i < from+n; i++ {
		receipt, err := pub.Accept(t.Context(), newEvent(t, fmt.Sprintf("e-%d", i), types[i%len(types)]))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, receipt.Sequence)
	}
	return out
}

func newEvent(t *testing.T, id, eventType string) *event.Event {
	t.Helper()
	raw := fmt.Appendf(nil, `{"specversion":"1.0","id":%q,"source":"a1","type":%q,"time":"2026-11-21T10:00:00Z","data":{}}`, id, eventType)
	e, faults := event.Stored(raw, "", "")
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	return e
}

// counting runs a counter of HTTP recipients until stop is called, or the test ends.
func counting(t *testing.T, c *bus.Conn) (n *eventnumbers.Numbers, stop func()) {
	t.Helper()
	n = eventnumbers.NewNumbers(c, recipient.HTTP, func() bool { return true })
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { n.Run(ctx) })
	stop = sync.OnceFunc(func() {
		cancel()
		wg.Wait()
	})
	t.Cleanup(stop)
	return n, stop
}

func number(t *testing.T, n *eventnumbers.Numbers, id string, sequence uint64) uint64 {
	t.Helper()
	ctx, cancel := waittest.Context(t.Context())
	defer cancel()
	out, err := n.Number(ctx, id, sequence)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// expected counts by reading EVENTS message by message, as the documentation says it is done.
func expected(t *testing.T, c *bus.Conn, id string) map[uint64]uint64 {
	t.Helper()
	js, err := jetstream.New(c.IntakeConn())
	if err != nil {
		t.Fatal(err)
	}
	s, err := js.Stream(t.Context(), bus.StreamEvents)
	if err != nil {
		t.Fatal(err)
	}
	out, number, types := map[uint64]uint64{}, uint64(0), []string(nil)
	for q := s.CachedInfo().State.FirstSeq; q <= s.CachedInfo().State.LastSeq; q++ {
		m, err := s.GetMsg(t.Context(), q)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if text := m.Header.Get("Outbound-Selection"); text != "" {
			var change struct {
				Recipient string
				Selection struct{ Types []string }
			}
			if err := json.Unmarshal([]byte(text), &change); err != nil {
				t.Fatal(err)
			}
			if change.Recipient == id {
				types = change.Selection.Types
			}
			continue
		}
		for _, one := range types {
			if strings.HasSuffix(m.Subject, "."+one) {
				number++
				out[q] = number
			}
		}
	}
	return out
}

func check(t *testing.T, what string, n *eventnumbers.Numbers, id string, want map[uint64]uint64, sequences []uint64) {
	t.Helper()
	for _, q := range sequences {
		if got := number(t, n, id, q); got != want[q] {
			t.Errorf("%s: number %d at sequence %d, want %d", what, got, q, want[q])
		}
	}
}

func selects(t *testing.T, x *eventnumbers.Changes, r *recipient.Recipient) {
	t.Helper()
	if err := x.Select(t.Context(), r, eventnumbers.Selection(r)); err != nil {
		t.Fatal(err)
	}
}

func TestSendersAgreeThroughChangesRestartsAndPurges(t *testing.T) {
	t.Parallel()
	server := bustest.Start(t)
	c := server.Conn()
	pub := bus.NewPublisher(c)
	defer pub.Close()
	changes := eventnumbers.NewChanges(c)
	all := publish(t, pub, 0, 10, "a", "b") // in front of the recipient: without a number
	selects(t, changes, to("r1", "a"))
	first, stopFirst := counting(t, c)
	all = append(all, publish(t, pub, 10, 10, "a", "b")...)
	selects(t, changes, to("r1", "a", "b"))
	selects(t, eventnumbers.NewChanges(c), to("r2", "b")) // another config service
	// Events are accepted while the selection changes.
	var beside sync.WaitGroup
	beside.Go(func() {
		for range 10 {
			selects(t, changes, to("r1", "b", "c"))
			selects(t, changes, to("r1", "a"))
		}
	})
	all = append(all, publish(t, pub, 20, 200, "a", "b", "c")...)
	beside.Wait()
	want := expected(t, c, "r1")
	check(t, "the first sender", first, "r1", want, all)
	check(t, "the first sender, of r2", first, "r2", expected(t, c, "r2"), all)
	second, _ := counting(t, server.Conn()) // goes on from a checkpoint, and reads back what stands in front of it
	check(t, "the second sender", second, "r1", want, all)

	stopFirst()
	server.Restart()
	all = append(all, publish(t, pub, 220, 50, "a", "b")...)
	want = expected(t, c, "r1")
	check(t, "the second sender after a restart of the broker", second, "r1", want, all)
	third, stopThird := counting(t, c)
	check(t, "a sender that was started then", third, "r1", want, all)
	stopThird()
	// All is behind the checkpoint now, so that a backlog is read from its first event on, back from there.
	fourth, _ := counting(t, c)
	check(t, "a sender behind its checkpoint", fourth, "r1", want, all[len(all)/2:])
	check(t, "a sender behind its checkpoint", fourth, "r1", want, all)
	if len(want) < 90 {
		t.Fatalf("%d events have a number: the test is not what it should be", len(want))
	}
}

func TestSecondChangeOfTheSameIsNotStored(t *testing.T) {
	t.Parallel()
	c := bustest.Start(t).Conn()
	changes := eventnumbers.NewChanges(c)
	r := to("r1", "a")
	for range 3 {
		selects(t, changes, r)
		selects(t, eventnumbers.NewChanges(c), r)
	}
	state, err := control.New(c).StreamState(t.Context(), bus.StreamEvents)
	if err != nil || state.LastSequence != 1 {
		t.Fatalf("EVENTS ends with %d (%v), want one change", state.LastSequence, err)
	}
	// Who looks at each message of EVENTS, as an earlier release does, sees an event that nobody selects.
	if e, err := eventlog.New(c).StoredEvent(t.Context(), 1); err != nil || r.WantsType(e.Type) {
		t.Errorf("the change is read as %v (%v)", e, err)
	}
	again := to("r1", "a")
	again.StartSequence = 7 // another recipient with the same id
	if _, ok, err := changes.Selected(t.Context(), again); ok || err != nil {
		t.Errorf("an earlier recipient's selection is taken for this one's (%v)", err)
	}
	selects(t, changes, again)
	if err := changes.End(t.Context(), r); err != nil { // it is gone already
		t.Fatal(err)
	}
	if was, ok, err := changes.Selected(t.Context(), again); !ok || err != nil || !was.Equal(numbering.NewSelection([]string{"a"}, nil)) {
		t.Errorf("the selection is %v, %v (%v)", was, ok, err)
	}
	if err := changes.End(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := eventnumbers.NewChanges(c).Selected(t.Context(), again); ok || err != nil {
		t.Errorf("it selects after its end (%v)", err)
	}
}

func TestNumbersGoOnThoughTheirChangeAndEventsAreGone(t *testing.T) {
	t.Parallel()
	c := bustest.Start(t).Conn()
	pub := bus.NewPublisher(c)
	defer pub.Close()
	r := to("r1", "a")
	selects(t, eventnumbers.NewChanges(c), r)
	sequences := publish(t, pub, 0, 20, "a")
	n, stop := counting(t, c)
	if got := number(t, n, "r1", sequences[19]); got != 20 {
		t.Fatalf("number %d, want 20", got)
	}
	stop() // writes its checkpoint
	purge(t, c, sequences[19]+1)
	if was, ok, err := eventnumbers.NewChanges(c).Selected(t.Context(), r); !ok || err != nil || !was.Equal(eventnumbers.Selection(r)) {
		t.Fatalf("the selection is %v, %v (%v), want that of the checkpoint", was, ok, err)
	}
	selects(t, eventnumbers.NewChanges(c), r)
	later := publish(t, pub, 20, 5, "a")
	if later[0] != sequences[19]+1 {
		t.Fatalf("a change was stored again")
	}
	n, stop = counting(t, c)
	if got := number(t, n, "r1", later[4]); got != 25 {
		t.Fatalf("number %d, want 25", got)
	}
	stop()
	// What is removed without having been counted counts as selected: no number is given twice.
	gone := publish(t, pub, 25, 7, "b")
	purge(t, c, gone[6]+1)
	last := publish(t, pub, 32, 1, "a")
	for range 2 {
		n, stop = counting(t, c)
		if got := number(t, n, "r1", last[0]); got != 33 {
			t.Fatalf("number %d, want 33", got)
		}
		stop()
	}
}

// purge removes the beginning of EVENTS up to a sequence, which stays.
func purge(t *testing.T, c *bus.Conn, first uint64) {
	t.Helper()
	js, err := jetstream.New(c.IntakeConn())
	if err != nil {
		t.Fatal(err)
	}
	s, err := js.Stream(t.Context(), bus.StreamEvents)
	if err == nil {
		err = s.Purge(t.Context(), jetstream.WithPurgeSequence(first))
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestNothingIsPurgedThatIsNotCounted(t *testing.T) {
	t.Parallel()
	c := bustest.Start(t).Conn()
	pub := bus.NewPublisher(c)
	defer pub.Close()
	r := to("r1", "a")
	if err := control.New(c).EnsureConsumer(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	selects(t, eventnumbers.NewChanges(c), r)
	counted := publish(t, pub, 0, 3, "b")
	_, stop := counting(t, c)
	waittest.Until(t, "a checkpoint", func() bool {
		p, _, err := control.NewNumberStore(c).Checkpoint(t.Context(), recipient.HTTP)
		return err == nil && p.Through == counted[2]
	})
	stop()
	// The recipient's queue is empty, so that it has finished all of EVENTS; but these are counted by nobody yet.
	rest := publish(t, pub, 3, 3, "b")
	if _, err := control.New(c).PurgeRecorded(t.Context(), rest[2], nil); err != nil {
		t.Fatal(err)
	}
	if state, err := control.New(c).StreamState(t.Context(), bus.StreamEvents); err != nil || state.FirstSequence != counted[2]+1 {
		t.Fatalf("EVENTS begins with %d (%v), want %d", state.FirstSequence, err, counted[2]+1)
	}
	_, stop = counting(t, c)
	defer stop()
	waittest.Until(t, "the rest to be counted and purged", func() bool {
		_, err := control.New(c).PurgeRecorded(t.Context(), rest[2], nil)
		state, told := control.New(c).StreamState(t.Context(), bus.StreamEvents)
		return err == nil && told == nil && state.FirstSequence == rest[2]+1
	})
}

func TestWaitForANumberEnds(t *testing.T) {
	t.Parallel()
	n := eventnumbers.NewNumbers(bustest.Start(t).Conn(), recipient.HTTP, func() bool { return false })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := n.Number(ctx, "r1", 1); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestDeliveriesDoNotWaitForeverForNumbersThatCannotBeCounted(t *testing.T) {
	t.Parallel()
	server := bustest.Start(t)
	c := server.Conn()
	pub := bus.NewPublisher(c)
	selects(t, eventnumbers.NewChanges(c), to("r1", "a"))
	last := publish(t, pub, 0, 3, "a")[2]
	pub.Close()
	server.StopJetStream()
	n := eventnumbers.NewNumbers(c, recipient.HTTP, func() bool { return true })
	n.GiveUpAfter(0)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { n.Run(ctx) })
	defer wg.Wait()
	defer cancel()
	if got := number(t, n, "r1", last); got != 0 {
		t.Errorf("number %d", got)
	}
}
