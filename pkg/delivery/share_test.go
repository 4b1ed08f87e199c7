package delivery_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/outbound-events/outbound/pkg/bus"
	"github.com/outbound-events/outbound/pkg/bus/control"
	"github.com/outbound-events/outbound/pkg/delivery"
	"github.com/outbound-events/outbound/pkg/recipient"
)

// replay publishes replays to one recipient, which the others do not get.
func (w *fixture) replays(id string, n int) {
	w.t.Helper()
	for i := range n {
		if _, err := w.pub.Replay(w.t.Context(), id, w.event(fmt.Sprint(id, "-", i)), bus.Replay{ID: fmt.Sprint("x", i)}); err != nil {
			w.t.Fatal(err)
		}
	}
}

// TestAFreshEventDoesNotWaitBehindTheBacklogsOfOthers has 40 recipients drain backlogs through 16 slots, and counts how many of their
// attempts come before that of another recipient which has one event.
func TestAFreshEventDoesNotWaitBehindTheBacklogsOfOthers(t *testing.T) {
	const draining, each, slots = 40, 20, 16
	w := newFixture(t)
	w.slots = slots
	next := make(chan struct{})
	var underWay, before atomic.Int64
	sent := make(chan struct{})
	w.send = func(d *delivery.Delivery) delivery.Outcome {
		if d.Recipient.ID == "well" {
			close(sent)
			return delivery.Outcome{Status: 200}
		}
		underWay.Add(1)
		<-next
		before.Add(1)
		return delivery.Outcome{Status: 200}
	}
	open := sync.OnceFunc(func() { close(next) })
	t.Cleanup(open)
	for i := range draining {
		w.recipient(fmt.Sprint("r", i))
		w.replays(fmt.Sprint("r", i), each)
	}
	w.recipient("well")
	w.run()
	w.until("all slots are taken", func() bool { return underWay.Load() == slots })
	w.replays("well", 1)
	w.until("the event is pulled", func() bool {
		b, err := control.New(w.conn).Backlog(t.Context(), recipient.HTTP, "well")
		return err == nil && b.Unsettled == 1
	})
	for done := false; !done; {
		select {
		case next <- struct{}{}:
		case <-sent:
			done = true
		}
	}
	n := before.Load()
	t.Logf("%d of %d attempts came before", n, draining*each)
	if n > draining*each/4 {
		t.Errorf("%d attempts of others came before that of a recipient with one event", n)
	}
	open()
	w.until("the backlogs are drained", func() bool { return before.Load() >= draining*each })
	w.drained("well")
}

// TestHangingRecipientsLeaveSlotsForOthers has so many recipients hang as would fill all slots with a quarter each, twice.
func TestHangingRecipientsLeaveSlotsForOthers(t *testing.T) {
	w := newFixture(t)
	w.slots = 16
	release := make(chan struct{})
	open := sync.OnceFunc(func() { close(release) })
	t.Cleanup(open)
	var hanging atomic.Int64
	w.send = func(d *delivery.Delivery) delivery.Outcome {
		if strings.HasPrefix(d.Recipient.ID, "hangs") {
			hanging.Add(1)
			<-release
		}
		return delivery.Outcome{Status: 200}
	}
	for i := range 8 {
		w.recipient(fmt.Sprint("hangs", i))
		w.replays(fmt.Sprint("hangs", i), 8)
	}
	w.recipient("well")
	w.run()
	w.until("each hangs", func() bool { return hanging.Load() >= 8 })
	w.replays("well", 20)
	w.drained("well")
	if n := hanging.Load(); n >= 16 {
		t.Errorf("%d of 16 slots hang", n)
	}
	open()
}
