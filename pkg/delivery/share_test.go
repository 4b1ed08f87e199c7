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

// replays publishes replays to one recipient, which the others do not get.
func (w *fixture) replays(id string, n int) {
	w.t.Helper()
	for i := range n {
		w.replay(id, i)
	}
}

func (w *fixture) replay(id string, i int) {
	w.t.Helper()
	if _, err := w.pub.Replay(w.t.Context(), id, w.event(fmt.Sprint(id, "-", i)), bus.Replay{ID: fmt.Sprint("x", i)}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *fixture) backlog(id string) control.Backlog {
	w.t.Helper()
	b, err := control.New(w.conn).Backlog(w.t.Context(), recipient.HTTP, id)
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

// TestAFreshEventDoesNotWaitBehindTheBacklogsOfOthers has 300 recipients drain backlogs through 16 slots, and counts how many of their
// attempts end before each event of another recipient is sent, which has one at a time: about one of each recipient at most.
func TestAFreshEventDoesNotWaitBehindTheBacklogsOfOthers(t *testing.T) {
	const draining, each, fresh, slots = 300, 4, 2, 16
	w := newFixture(t)
	w.slots = slots
	next, sent := make(chan struct{}), make(chan struct{}, fresh)
	var underWay, ended atomic.Int64
	w.send = func(d *delivery.Delivery) delivery.Outcome {
		if d.Recipient.ID == "well" {
			sent <- struct{}{}
			return delivery.Outcome{Status: 200}
		}
		underWay.Add(1)
		<-next
		ended.Add(1)
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
	for i := range fresh {
		w.replay("well", i)
		w.until("the event is pulled", func() bool { return w.backlog("well").Unsettled == 1 })
		before := ended.Load()
		for done := false; !done; {
			select {
			case next <- struct{}{}:
			case <-sent:
				done = true
			}
		}
		n := ended.Load() - before
		t.Logf("%d attempts of others ended before event %d was sent", n, i)
		if n > draining*3/2 {
			t.Errorf("%d attempts of others ended before event %d was sent: want about %d at most", n, i, draining+slots)
		}
		w.until("it is settled", func() bool { return w.backlog("well").Unsettled == 0 })
	}
	if n := ended.Load(); n > draining*(each-1) {
		t.Fatalf("%d of %d attempts ended: the backlogs are too short to tell", n, draining*each)
	}
	open()
	w.until("the backlogs are drained", func() bool { return ended.Load() == draining*each })
}

// TestHangingRecipientsLeaveSlotsForOthers has more recipients hang than would fill all slots with a quarter each.
func TestHangingRecipientsLeaveSlotsForOthers(t *testing.T) {
	const hang, each, slots = 6, 16, 64
	w := newFixture(t)
	w.slots = slots
	release := make(chan struct{})
	open := sync.OnceFunc(func() { close(release) })
	t.Cleanup(open)
	var mu sync.Mutex
	hanging, total := map[string]int{}, 0
	w.send = func(d *delivery.Delivery) delivery.Outcome {
		if strings.HasPrefix(d.Recipient.ID, "hangs") {
			mu.Lock()
			hanging[d.Recipient.ID]++
			total++
			mu.Unlock()
			<-release
		}
		return delivery.Outcome{Status: 200}
	}
	for i := range hang {
		w.recipient(fmt.Sprint("hangs", i))
		w.replays(fmt.Sprint("hangs", i), each)
	}
	w.recipient("well")
	w.run()
	w.until("each hangs, and they have all slots that they can get", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(hanging) == hang && total >= slots-slots/8
	})
	w.replays("well", 20)
	w.drained("well")
	mu.Lock()
	n := total
	mu.Unlock()
	if n >= slots {
		t.Errorf("%d of %d slots hang", n, slots)
	}
	open()
}
