package bus_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bus/queue"
	"github.com/outbound-events/outbound/pkg/bustest"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/waittest"
)

func TestWhatEveryRecipientHasFinishedIsPurgedOnceRoomIsShort(t *testing.T) {
	c := bustest.Start(t).Conn()
	o := bustest.StreamOptions()
	o.EventsMaxBytes = 64 << 10
	if err := c.EnsureStreams(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"r1", "slow"} {
		r := &recipient.Recipient{ID: id, Enabled: true, EventTypes: []string{"support_conference_begin"}, HTTP: &recipient.HTTPTarget{},
			StartSequence: 1}
		if err := control.New(c).EnsureConsumer(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	p := bus.NewPublisher(c)
	defer p.Close()
	n := 0
	for full := false; !full; n++ {
		_, err := p.Accept(t.Context(), newEvent(t, fmt.Sprintf("%d-%s", n, strings.Repeat("x", 100))))
		full = err != nil
		if n == 3 {
			if gone, err := control.New(c).PurgeFinished(t.Context()); gone != 0 || err != nil {
				t.Fatalf("purged %d while there is room (%v)", gone, err)
			}
		}
	}
	q := queue.New(c)
	settle := func(id string, n int) {
		t.Helper()
		pull, err := q.Open(t.Context(), recipient.HTTP, id)
		if err != nil {
			t.Fatal(err)
		}
		defer pull.Close()
		if err := pull.Pull(t.Context(), n, waittest.Limit, func(m delivery.Message) { _ = m.Settler.Ack() }); err != nil {
			t.Fatal(err)
		}
	}
	settle("r1", n-1)
	settle("slow", 10)
	purged := uint64(0)
	waittest.Until(t, "what both have finished to be purged", func() bool {
		gone, err := control.New(c).PurgeFinished(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		purged += gone
		return purged >= 10
	})
	st, err := control.New(c).StreamStates(t.Context())
	if err != nil || purged != 10 || st[0].Messages != uint64(n-1-10) {
		t.Errorf("purged %d, %d left of %d (%v): want what the slower one has finished", purged, st[0].Messages, n-1, err)
	}
}

// The record of an acceptance is made up for from the event, so that this has to stay until then.
func TestEventsWhoseAcceptanceMayHaveNoRecordAreNotPurged(t *testing.T) {
	c := bustest.Start(t).Conn()
	o := bustest.StreamOptions()
	o.EventsMaxBytes = 64 << 10
	if err := c.EnsureStreams(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	p := bus.NewPublisher(c)
	defer p.Close()
	n := 0
	for err := error(nil); err == nil; n++ {
		_, err = p.Accept(t.Context(), newEvent(t, fmt.Sprintf("%d-%s", n, strings.Repeat("x", 100))))
	}
	for process, sequence := range map[string]uint64{"a": 20, "b": 7, "c": 30} {
		if err := control.New(c).PutIntakeMark(t.Context(), control.IntakeMark{Process: process, Sequence: sequence}); err != nil {
			t.Fatal(err)
		}
	}
	first := func() uint64 {
		room, err := control.New(c).StreamState(t.Context(), bus.StreamEvents)
		if err != nil {
			t.Fatal(err)
		}
		return room.FirstSequence
	}
	if gone, err := control.New(c).PurgeFinished(t.Context()); err != nil || gone != 7 || first() != 8 {
		t.Errorf("purged %d, %v: EVENTS begins with %d, want 8", gone, err, first())
	}
	marks, err := control.New(c).IntakeMarks(t.Context())
	if err != nil || len(marks) != 3 {
		t.Fatalf("marks %+v, %v", marks, err)
	}
	for _, m := range marks {
		if m.Process == "a" { // written again since it was listed
			if err := control.New(c).PutIntakeMark(t.Context(), control.IntakeMark{Process: "a", Sequence: 21}); err != nil {
				t.Fatal(err)
			}
		}
		if err := control.New(c).RemoveIntakeMark(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	marks, err = control.New(c).IntakeMarks(t.Context())
	if err != nil || len(marks) != 1 || marks[0].Sequence != 21 {
		t.Errorf("a mark that was written again was removed: %+v, %v", marks, err)
	}
}
