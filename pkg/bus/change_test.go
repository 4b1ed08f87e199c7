package bus_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bus/deliverylog"
	"github.com/outbound-events/outbound/pkg/bus/queue"
	"github.com/outbound-events/outbound/pkg/bustest"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/event"
	"github.com/outbound-events/outbound/pkg/recipient"
)

// delayed is a queue whose messages all wait for an hour, and their log.
type delayed struct {
	t    *testing.T
	conn *bus.Conn
	log  *deliverylog.Log
	q    delivery.Puller
	// at is where each event stands in EVENTS.
	at map[string]uint64
}

func newDelayed(t *testing.T, events []*event.Event) *delayed {
	t.Helper()
	d := &delayed{t: t, conn: bustest.Start(t).Conn(), at: map[string]uint64{}}
	r := &recipient.Recipient{ID: "r1", Enabled: true, EventTypes: []string{"support_conference_begin"}, HTTP: &recipient.HTTPTarget{}}
	if err := control.New(d.conn).EnsureConsumer(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	d.log = deliverylog.New(d.conn)
	t.Cleanup(d.log.Close)
	pub := bus.NewPublisher(d.conn)
	defer pub.Close()
	for _, e := range events {
		got, err := pub.Accept(t.Context(), e)
		if err != nil {
			t.Fatal(err)
		}
		d.at[e.ID] = got.Sequence
	}
	q, err := queue.New(d.conn).Open(t.Context(), recipient.HTTP, "r1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(q.Close)
	d.q = q
	d.pull(len(events))
	return d
}

// pull takes n messages, puts each back for an hour, and returns the events in order.
func (d *delayed) pull(n int) (ids []string) {
	d.t.Helper()
	err := d.q.Pull(d.t.Context(), n, 20*time.Second, func(m delivery.Message) {
		ids = append(ids, m.Event.ID)
		if err := m.Settler.NakWithDelay(time.Hour); err != nil {
			d.t.Error(err)
		}
	})
	if err != nil || len(ids) != n {
		d.t.Fatalf("pulled %d, want %d (%v)", len(ids), n, err)
	}
	slices.Sort(ids)
	return ids
}

// retrying records attempts of events, the next one due after a wait.
func (d *delayed) retrying(events []*event.Event, attempts []int, wait time.Duration) {
	d.t.Helper()
	var stored sync.WaitGroup
	next := time.Now().Add(wait)
	for _, attempt := range attempts {
		for _, e := range events {
			rec := record(e, "r1", attempt, delivery.StateRetrying)
			rec.Sequence, rec.NextAttempt = d.at[e.ID], &next
			stored.Add(1)
			d.log.AppendAttempt(rec, func(err error) {
				if err != nil {
					d.t.Errorf("attempt %d of %s: %v", rec.Attempt, rec.EventID, err)
				}
				stored.Done()
			})
		}
	}
	stored.Wait()
}

func (d *delayed) events(prefix string, n int) (out []*event.Event) {
	for i := range n {
		out = append(out, newEvent(d.t, fmt.Sprintf("%s%02d", prefix, i)))
	}
	return out
}

func upTo(n int) (out []int) {
	for i := range n {
		out = append(out, i+1)
	}
	return out
}

// TestAllThatWaitsIsHandedOutHoweverMuchIsRecordedSince has few deliveries whose last attempt lies behind thousands of records of others.
func TestAllThatWaitsIsHandedOutHoweverMuchIsRecordedSince(t *testing.T) {
	quiet, busy := (&delayed{t: t}).events("quiet-", 20), (&delayed{t: t}).events("busy-", 40)
	d := newDelayed(t, append(slices.Clone(quiet), busy...))
	d.retrying(quiet, upTo(1), time.Hour)
	d.retrying(busy, upTo(80), time.Hour)
	n, err := queue.NewDelayed(d.conn, recipient.HTTP, "r1").Expedite(t.Context(), d.at["busy-39"])
	if err != nil || n != 60 {
		t.Errorf("%d messages are handed out, want 60 (%v)", n, err)
	}
	d.pull(60)
}

// TestWhatIsDueOrBehindTheMarkIsNotHandedOut leaves alone what a sender may have in hand.
func TestWhatIsDueOrBehindTheMarkIsNotHandedOut(t *testing.T) {
	all := (&delayed{t: t}).events("e-", 6)
	d := newDelayed(t, all)
	d.retrying(all[:3], upTo(1), time.Hour)
	d.retrying(all[1:2], []int{2}, time.Second) // due: a sender may have it
	d.retrying(all[4:], upTo(1), time.Hour)     // e-03 is under way for the first time
	waits := queue.NewDelayed(d.conn, recipient.HTTP, "r1")
	hurry := func(through, want string) {
		t.Helper()
		n := 0
		if want != "" {
			n = len(strings.Fields(want))
		}
		if got, err := waits.Expedite(t.Context(), d.at[through]); err != nil || got != n {
			t.Errorf("%d messages are handed out, want %d (%v)", got, n, err)
		}
		if got := strings.Join(d.pull(n), " "); got != want {
			t.Errorf("%s are handed out, want %s", got, want)
		}
	}
	hurry("e-04", "e-00 e-02 e-04")
	// What is recorded later counts when it is asked again.
	d.retrying(all[1:2], []int{3}, time.Hour)
	d.retrying(all[2:3], []int{2}, time.Second)
	hurry("e-05", "e-00 e-01 e-04 e-05")
}
