package bus_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/bus/queue"
	"github.com/outbound-events/outbound/pkg/bustest"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/recipient"
	"github.com/outbound-events/outbound/pkg/waittest"
)

// accept publishes n events, e-0 and so on.
func accept(t *testing.T, pub *bus.Publisher, n int) {
	t.Helper()
	for i := range n {
		if _, err := pub.Accept(t.Context(), newEvent(t, fmt.Sprintf("e-%d", i))); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWhatCameTooLateIsPutBackLongBeforeItsAckWait(t *testing.T) {
	c := bustest.Start(t).Conn()
	r := &recipient.Recipient{ID: "r1", Enabled: true, EventTypes: []string{"support_conference_begin"}, HTTP: &recipient.HTTPTarget{},
		StartSequence: 1}
	if err := control.New(c).EnsureConsumer(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	pub := bus.NewPublisher(c)
	defer pub.Close()
	const n = 40
	accept(t, pub, n)
	returned, err := c.IntakeConn().SubscribeSync("$JS.EVENT.ADVISORY.CONSUMER.MSG_NAKED.EVENTS.http-r1")
	if err != nil {
		t.Fatal(err)
	}
	q := queue.New(c)
	late, err := q.Open(t.Context(), recipient.HTTP, "r1")
	if err != nil {
		t.Fatal(err)
	}
	// The first message ends the pull once the broker has sent all: the others are on their way to a puller that takes no more.
	ctx, cancel := context.WithCancel(t.Context())
	taken := 0
	err = late.Pull(ctx, n, waittest.Limit, func(m delivery.Message) {
		taken++
		waittest.Until(t, "the broker to have sent all", func() bool { return info(t, c, "http-r1").Delivered.Consumer == n })
		cancel()
		if err := m.Settler.Ack(); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	late.Close()
	if taken == n {
		t.Fatal("nothing came too late")
	}
	next, err := q.Open(t.Context(), recipient.HTTP, "r1")
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	var again int
	if err := next.Pull(t.Context(), n-taken, waittest.Limit, func(delivery.Message) { again++ }); err != nil {
		t.Fatal(err)
	}
	if again != n-taken {
		t.Errorf("%d came again of %d that came too late", again, n-taken)
	}
	// They were handed back: none came because its ack wait was over.
	for i := range n - taken {
		if _, err := returned.NextMsg(waittest.Limit); err != nil {
			t.Fatalf("the broker was given back %d messages, want %d: %v", i, n-taken, err)
		}
	}
}

func TestAWakeNamesItsMessages(t *testing.T) {
	c := bustest.Start(t).Conn()
	type wake struct {
		id        string
		sequences []uint64
	}
	woken := make(chan wake, 10)
	stop, err := queue.New(c).Expedited(recipient.HTTP, func(id string, sequences []uint64) { woken <- wake{id, sequences} })
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	many := make([]uint64, 1_200)
	for i := range many {
		many[i] = uint64(i) << 32
	}
	for _, sequences := range [][]uint64{nil, {7}, many} {
		if err := queue.New(c).Expedite(recipient.HTTP, "r1", sequences); err != nil {
			t.Fatal(err)
		}
		var got []uint64
		for first := true; first || len(got) < len(sequences); first = false {
			w := <-woken
			if w.id != "r1" || len(w.sequences) == 0 && len(sequences) > 0 {
				t.Fatalf("%s is woken for %v", w.id, w.sequences)
			}
			got = append(got, w.sequences...)
		}
		if !slices.Equal(got, sequences) {
			t.Errorf("woken for %d messages, want %d", len(got), len(sequences))
		}
	}
}
